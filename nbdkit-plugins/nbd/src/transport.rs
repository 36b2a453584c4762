// SPDX-License-Identifier: BSD-3-Clause
//! [`Transport`]: the bytes to and from the server, encrypted or not.

use async_io::Async;
use nbd_tls::{Engine, Read};
use rustix::io::Errno;
use socket2::Socket;
use std::{
    future::poll_fn,
    io::{self, IoSlice, IoSliceMut},
    net::Shutdown,
    task::{Context, Poll},
};

/// One connection to the server.
pub(crate) struct Transport {
    socket: Async<Socket>,
    tls: Option<Tls>,
}

struct Tls(Engine);

/// What reading brought.
#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    /// So many bytes, and perhaps there are more.
    Some(usize),
    /// So many bytes, and no more for now.
    Last(usize),
    Nothing,
    /// The server has closed.
    End,
}

impl Transport {
    pub(crate) fn new(socket: Async<Socket>) -> Transport {
        Transport { socket, tls: None }
    }

    /// Shakes hands. `early` came behind the last plain message.
    ///
    /// # Errors
    /// The system's, or why TLS failed (an [`nbd_tls::Error`]).
    pub(crate) async fn start_tls(&mut self, engine: Engine, early: &[u8]) -> io::Result<()> {
        let (mut tls, socket) = (Tls(engine), &self.socket);
        // It takes all, as there is nothing to be read before the end of the handshake.
        let fed = tls.0.feed(early);
        tls.told(socket, fed)?;
        poll_fn(|cx| tls.poll_handshake(socket, cx)).await?;
        self.tls = Some(tls);
        Ok(())
    }

    /// What is there, now, into the first buffer, then the second.
    pub(crate) fn try_read(&mut self, bufs: &mut [IoSliceMut<'_>; 2]) -> io::Result<Received> {
        if let Some(tls) = &mut self.tls {
            return tls.try_read(&self.socket, bufs);
        }
        let room = bufs[0].len() + bufs[1].len();
        Ok(match now(rustix::io::readv(&self.socket, bufs))? {
            None => Received::Nothing,
            Some(0) => Received::End,
            Some(count) if count < room => Received::Last(count),
            Some(count) => Received::Some(count),
        })
    }

    /// As much as goes, now; how many bytes that were.
    pub(crate) fn try_write(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.try_write(&self.socket, bufs),
            None => Ok(now(rustix::io::writev(&self.socket, bufs))?.unwrap_or(0)),
        }
    }

    /// Sends what was taken by [`try_write`](Transport::try_write) and not sent yet; whether that was all.
    pub(crate) fn try_flush(&mut self) -> io::Result<bool> {
        match &mut self.tls {
            Some(tls) => tls.push(&self.socket),
            None => Ok(true),
        }
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_readable(cx).map(|_| ())
    }

    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_writable(cx).map(|_| ())
    }

    /// Waits for something to read; 0 at the end.
    pub(crate) async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| {
            loop {
                match self.try_read(&mut [IoSliceMut::new(buf), IoSliceMut::new(&mut [])])? {
                    Received::Some(count) | Received::Last(count) => return Poll::Ready(Ok(count)),
                    Received::End => return Poll::Ready(Ok(0)),
                    Received::Nothing if self.poll_readable(cx).is_ready() => {}
                    Received::Nothing => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Sends all of it.
    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        poll_fn(|cx| {
            loop {
                let sent = self.try_write(&[IoSlice::new(bytes)])?;
                bytes = bytes.get(sent..).unwrap_or_default();
                if self.try_flush()? && bytes.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                if sent == 0 && self.poll_writable(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Says goodbye as far as the socket takes it now.
    pub(crate) fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.0.close();
            let _ = tls.push(&self.socket);
        }
        let _ = self.socket.get_ref().shutdown(Shutdown::Write);
    }
}

impl Tls {
    fn poll_handshake(&mut self, socket: &Async<Socket>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let pushed = self.push(socket)?;
            if !self.0.is_handshaking() && pushed {
                return Poll::Ready(Ok(()));
            }
            let moved = self.0.is_handshaking() && self.pull(socket)? != Pulled::Nothing;
            let writable = !pushed && socket.poll_writable(cx).is_ready();
            if !moved && !writable && socket.poll_readable(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn try_read(&mut self, socket: &Async<Socket>, bufs: &mut [IoSliceMut<'_>; 2]) -> io::Result<Received> {
        let [first, second] = bufs;
        let buf = if first.is_empty() { second } else { first };
        loop {
            match self.0.read(buf).map_err(io::Error::other)? {
                Read::Some(count) => return Ok(Received::Some(count)),
                Read::End => return Ok(Received::End),
                Read::Cut => return Err(io::Error::other("the connection was cut off within TLS")),
                Read::Nothing => {}
            }
            match self.pull(socket)? {
                Pulled::Some => {}
                Pulled::Nothing => return Ok(Received::Nothing),
            }
        }
    }

    fn try_write(&mut self, socket: &Async<Socket>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.push(socket)?;
        let taken = self.0.write(bufs).map_err(io::Error::other)?;
        self.push(socket)?;
        Ok(taken)
    }

    /// Sends what is encrypted; whether that was all.
    fn push(&mut self, socket: &Async<Socket>) -> io::Result<bool> {
        while !self.0.output().is_empty() {
            match now(rustix::io::write(socket, self.0.output()))? {
                Some(count) => self.0.sent(count),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Receives, and has it decrypted.
    fn pull(&mut self, socket: &Async<Socket>) -> io::Result<Pulled> {
        match now(rustix::io::read(socket, self.0.room()))? {
            None => return Ok(Pulled::Nothing),
            Some(0) => self.0.eof().map_err(io::Error::other)?,
            Some(count) => {
                let arrived = self.0.arrived(count);
                self.told(socket, arrived)?;
            }
        }
        Ok(Pulled::Some)
    }

    /// Sends what the engine has to say to what it was told. A server that made it fail learns why.
    fn told<T>(&mut self, socket: &Async<Socket>, result: Result<T, nbd_tls::Error>) -> io::Result<T> {
        let pushed = self.push(socket);
        let value = result.map_err(io::Error::other)?;
        pushed.map(|_| value)
    }
}

#[derive(PartialEq)]
enum Pulled {
    Some,
    Nothing,
}

fn now(result: rustix::io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
