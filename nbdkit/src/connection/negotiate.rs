// SPDX-License-Identifier: BSD-3-Clause
//! The handshake: drives the state machine, and asks plugin and filters what only they know.

use super::{Service, line::Line, survive};
use crate::{tls, wire::Wire};
use async_io::Timer;
use nbd_proto::{
    BlockSize, ExportInfo,
    server::{Abort, Ask, Handshake, Session, Step},
    wire::{Rep, TransmissionFlags as F},
};
use nbdkit_plugin::{
    Certificate, Connection, Disk, EINVAL, EIO, ESHUTDOWN, Error, Export, Info, OpenRequest, Result,
    ThreadModel,
};
use std::{future::Future, pin::pin, sync::Arc};

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
pub async fn negotiate(service: &Service, wire: &mut Wire, connection: &Connection) -> Result<Option<Open>> {
    let deadline = service.timeout.map_or_else(Timer::never, Timer::after);
    let negotiation = Negotiation {
        service,
        connection,
        handshake: Handshake::new(service.config.clone()),
        line: Line { wire, deadline, gone: pin!(connection.gone()) },
        disk: None,
        early: Vec::new(),
        certificate: None,
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
    certificate: Option<Arc<Certificate>>,
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
                Step::StartTls => self.start_tls().await?,
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
        if self.connection.is_aborted() {
            return Err(Error::new(ESHUTDOWN, "a plugin or filter has cut the connection off"));
        }
        while !self.handshake.output().is_empty() {
            let sent = self.line.write(self.handshake.output()).await?;
            self.handshake.sent(sent);
        }
        Ok(())
    }

    /// Whoever is in the middle can put something in front of the first encrypted byte, but it does not outlive this:
    /// not what was agreed on before, and not what waits to be looked at (CVE-2021-3716).
    async fn start_tls(&mut self) -> Result<()> {
        let log = self.connection.log().named(self.service.plugin);
        if !self.early.is_empty() {
            let count = self.early.len();
            return Err(Error::new(
                EINVAL,
                format!(
                    "client sent {count} bytes in plain text behind NBD_OPT_STARTTLS, without waiting for the answer"
                ),
            ));
        }
        let offer = self.service.tls.as_ref();
        let offer = offer.ok_or_else(|| Error::new(EIO, "TLS was promised, and there is none"))?;
        let engine = offer.acceptor.accept();
        let engine = engine.map_err(|error| Error::new(EIO, format!("beginning TLS: {error}")))?;
        self.line.wire.secure(engine);
        log.debug(format_args!("starting TLS handshake"));
        self.line.secure(offer.detail, &log).await?;
        log.debug(format_args!("TLS handshake completed"));
        if offer.detail.session
            && let Some(session) = self.line.wire.session(tls::describe)
        {
            log.debug(format_args!("{session}"));
        }
        self.certificate = self.line.wire.session(tls::certificate).flatten().map(Arc::new);
        self.handshake.tls_started();
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
        request.tls = self.handshake.is_tls();
        request.certificate = self.certificate.clone();
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
        self.connection.log().named(self.service.plugin).error(format_args!("{what}: {error}"));
    }
}

fn refused(abort: Abort) -> Error {
    Error::new(EINVAL, abort.to_string())
}
