// SPDX-License-Identifier: BSD-3-Clause
//! The handshake: drives the state machine, and asks plugin and filters what only they know.

use super::{Service, survive};
use crate::wire::Wire;
use async_io::Timer;
use futures_lite::Stream;
use nbd_proto::{
    BlockSize, ExportInfo,
    server::{Abort, Ask, Handshake, Session, Step},
    wire::{Rep, TransmissionFlags as F},
};
use nbdkit_plugin::{
    Connection, Disk, EINVAL, EIO, ESHUTDOWN, Error, Export, Info, OpenRequest, Result, ThreadModel,
};
use std::{
    future::{Future, poll_fn},
    io::{IoSlice, IoSliceMut},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

/// An export that was chosen.
pub struct Open {
    /// What was negotiated.
    pub session: Session,
    /// The open disk.
    pub disk: Arc<dyn Disk>,
    /// What the client has sent beyond the handshake.
    pub early: Vec<u8>,
}

/// `None`: the client has left without choosing an export, as it may.
pub async fn negotiate(service: &Service, wire: &Wire, connection: &Connection) -> Result<Option<Open>> {
    let deadline = service.timeout.map_or_else(Timer::never, Timer::after);
    let negotiation = Negotiation {
        service,
        connection,
        handshake: Handshake::new(service.config.clone()),
        line: Line { wire, deadline, gone: pin!(connection.gone()) },
        disk: None,
        early: Vec::new(),
    };
    negotiation.run().await
}

struct Negotiation<'a, G> {
    service: &'a Service,
    connection: &'a Connection,
    handshake: Handshake,
    line: Line<'a, G>,
    /// Open while the client decides, and then for good.
    disk: Option<Arc<dyn Disk>>,
    early: Vec<u8>,
}

impl<G: Future<Output = ()>> Negotiation<'_, G> {
    async fn run(mut self) -> Result<Option<Open>> {
        let end = self.steps().await;
        match (end, self.disk.take()) {
            (Ok(Some(session)), Some(disk)) => Ok(Some(Open { session, disk, early: self.early })),
            (end, left) => {
                if let Some(disk) = left {
                    survive(|| disk.close()).await?;
                }
                end.map(|_| None)
            }
        }
    }

    async fn steps(&mut self) -> Result<Option<Session>> {
        loop {
            match self.handshake.step() {
                Step::NeedInput => self.read().await?,
                Step::Send => self.send().await?,
                Step::Ask(ask) => self.answer(ask).await?,
                Step::Done(session) => return Ok(Some(session)),
                Step::Abort(abort) if abort.is_polite() => {
                    self.connection.log().debug(format_args!("{abort}"));
                    return Ok(None);
                }
                Step::Abort(abort) => return Err(refused(abort)),
                // Not reached: the configuration says that there is no TLS.
                Step::StartTls => return Err(Error::invalid("TLS is not built in")),
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        if self.early.is_empty() {
            let mut buf = [0; 4096];
            match self.line.read(&mut buf).await? {
                0 => self.handshake.eof(),
                len => self.early.extend_from_slice(&buf[..len]),
            }
        }
        let taken = self.handshake.feed(&self.early);
        self.early.drain(..taken);
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        while !self.handshake.output().is_empty() {
            let sent = self.line.write(self.handshake.output()).await?;
            self.handshake.sent(sent);
        }
        Ok(())
    }

    async fn answer(&mut self, ask: Ask) -> Result<()> {
        match ask {
            Ask::List => self.list().await,
            Ask::Contexts { .. } => {
                self.handshake.contexts(&["base:allocation"]);
                Ok(())
            }
            Ask::Info { name } => {
                self.open(&name).await;
                match self.disk.take() {
                    Some(disk) => survive(|| disk.close()).await,
                    None => Ok(()),
                }
            }
            Ask::Go { name } | Ask::ExportName { name } => {
                self.open(&name).await;
                Ok(())
            }
        }
    }

    fn request(&self, name: &str) -> OpenRequest {
        let mut request = OpenRequest::new(self.connection, name);
        request.read_only = self.service.read_only;
        request
    }

    async fn list(&mut self) -> Result<()> {
        match self.exports().await {
            Ok(exports) => {
                for Export { name, description } in exports {
                    self.handshake.list_export(&name, description.as_deref().unwrap_or_default());
                    // Ten thousand exports with descriptions are megabytes: no client makes us hold them all.
                    if self.handshake.output().len() > 64 << 10 {
                        self.send().await?;
                    }
                }
                self.handshake.list_done();
            }
            Err(error) => {
                self.report("list_exports", &error);
                self.handshake.refuse(Rep::ERR_PLATFORM, &error.to_string());
            }
        }
        Ok(())
    }

    async fn exports(&self) -> Result<Vec<Export>> {
        if let Some(exports) = survive(|| self.service.chain.list_exports(self.request(""))).await? {
            return Ok(exports);
        }
        let default = survive(|| self.service.chain.default_export(self.request(""))).await?;
        Ok(default.map(Export::new).into_iter().collect())
    }

    /// Opens the export and answers; `self.disk` is open if that went well.
    async fn open(&mut self, name: &str) {
        match self.try_open(name).await {
            Ok((disk, export)) => {
                self.disk = Some(disk);
                self.handshake.open(export);
            }
            Err(error) => {
                self.report("open", &error);
                self.handshake.refuse(Rep::ERR_UNKNOWN, &error.to_string());
            }
        }
    }

    async fn try_open(&self, name: &str) -> Result<(Arc<dyn Disk>, ExportInfo)> {
        let chain = &self.service.chain;
        let canonical = match name {
            "" => survive(|| chain.default_export(self.request(""))).await?,
            name => Some(name.to_owned()),
        };
        let disk = survive(|| chain.open(self.request(name))).await?;
        match self.describe(disk.info(), canonical) {
            Ok(export) => Ok((disk, export)),
            Err(error) => {
                survive(|| disk.close()).await?;
                Err(error)
            }
        }
    }

    fn describe(&self, info: &Info, name: Option<String>) -> Result<ExportInfo> {
        if i64::try_from(info.size).is_err() {
            return Err(Error::new(EINVAL, format!("disk size {} is beyond 2^63 - 1", info.size)));
        }
        let mut export = ExportInfo::new(info.size, self.flags(info));
        if let Some(block) = info.block {
            block.check().map_err(|why| Error::new(EIO, why))?;
            export.block_size =
                Some(BlockSize { min: block.minimum, preferred: block.preferred, max: block.maximum });
        }
        export.name = name;
        export.description = info.description.as_deref().map(str::to_owned);
        Ok(export)
    }

    fn flags(&self, info: &Info) -> F {
        let mut shown = info.clone();
        if self.service.read_only || !info.write {
            shown.without_writing();
        }
        let multi_conn =
            info.multi_conn && self.service.chain.thread_model() > ThreadModel::SerializeConnections;
        [
            (F::READ_ONLY, self.service.read_only || !info.write),
            (F::SEND_FLUSH, shown.flush),
            (F::SEND_FUA, shown.fua.works()),
            (F::ROTATIONAL, shown.rotational),
            (F::SEND_TRIM, shown.trim),
            (F::SEND_WRITE_ZEROES, shown.zero.works()),
            (F::SEND_FAST_ZERO, shown.fast_zero),
            (F::SEND_CACHE, shown.cache.works()),
            (F::CAN_MULTI_CONN, multi_conn),
        ]
        .into_iter()
        .fold(F::HAS_FLAGS, |flags, (flag, on)| flags.set(flag, on))
    }

    fn report(&self, what: &str, error: &Error) {
        self.connection.log().named("nbdkit").error(format_args!("{what}: {error}"));
    }
}

fn refused(abort: Abort) -> Error {
    Error::new(EINVAL, abort.to_string())
}

/// The wire, given up on when the server stops or the client takes too long. Only waiting for the client is given up,
/// never an operation of a plugin.
struct Line<'a, G> {
    wire: &'a Wire,
    deadline: Timer,
    gone: Pin<&'a mut G>,
}

impl<G: Future<Output = ()>> Line<'_, G> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        loop {
            match self.wire.try_read(&mut [IoSliceMut::new(buf)]) {
                Ok(Some(len)) => return Ok(len),
                // A port scan: the client hung up on us.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(0),
                Err(error) => return Err(Error::io(error, "read from client")),
                Ok(None) => {
                    let wire = self.wire;
                    self.wait(|cx| wire.poll_readable(cx)).await?;
                }
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        loop {
            match self.wire.try_write(&[IoSlice::new(bytes)]) {
                Ok(Some(len)) => return Ok(len),
                Err(error) => return Err(Error::io(error, "write to client in the handshake")),
                Ok(None) => {
                    let wire = self.wire;
                    self.wait(|cx| wire.poll_writable(cx)).await?;
                }
            }
        }
    }

    async fn wait(&mut self, mut ready: impl FnMut(&mut Context<'_>) -> Poll<()>) -> Result<()> {
        poll_fn(|cx| {
            if ready(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if self.gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Error::new(ESHUTDOWN, "server stops in the middle of a handshake")));
            }
            if Pin::new(&mut self.deadline).poll_next(cx).is_ready() {
                return Poll::Ready(Err(Error::new(
                    libc::ETIMEDOUT,
                    "client took too long for the handshake (--timeout)",
                )));
            }
            Poll::Pending
        })
        .await
    }
}
