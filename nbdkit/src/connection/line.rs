// SPDX-License-Identifier: BSD-3-Clause
//! [`Line`]: talking to a client that has not chosen an export yet, and that may be slow, or never say anything.

use crate::{
    tls,
    wire::{Handshake, Wire},
};
use async_io::Timer;
use futures_lite::Stream;
use nbdkit_plugin::{ESHUTDOWN, Error, Log, Result};
use std::{
    future::{Future, poll_fn},
    io::{ErrorKind, IoSlice, IoSliceMut},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// How long a client with which TLS has failed may take to read why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many bytes it may still say meanwhile.
const MOST_HEARD: usize = 1 << 20;

/// The wire, given up on when the server stops or the client takes too long. Only waiting for the client is given up,
/// never an operation of a plugin.
pub struct Line<'a, G> {
    /// Bytes in and out.
    pub wire: &'a mut Wire,
    /// `--timeout`.
    pub deadline: Timer,
    /// Resolves when the server stops.
    pub gone: Pin<&'a mut G>,
}

impl<G: Future<Output = ()>> Line<'_, G> {
    /// Waits for something. 0: the client has ended its side.
    pub async fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        loop {
            match self.wire.try_read(&mut [IoSliceMut::new(buf)]) {
                Ok(Some(len)) => return Ok(len),
                // A port scan: the client hung up on us.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(0),
                Err(error) => return Err(Error::io(error, "read from client")),
                Ok(None) => self.wait(Wire::poll_readable).await?,
            }
        }
    }

    /// Waits until some of it has gone; how much.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        loop {
            match self.wire.try_write(&[IoSlice::new(bytes)], false) {
                Ok(Some(len)) => return Ok(len),
                Err(error) => return Err(Error::io(error, "write to client in the handshake")),
                Ok(None) => self.wait(Wire::poll_writable).await?,
            }
        }
    }

    /// The TLS handshake. If it fails, the client has been told why.
    pub async fn secure(&mut self, detail: tls::Detail, log: &Log) -> Result<()> {
        loop {
            let progress = self.wire.try_handshake();
            if detail.log > 0 {
                log.debug(format_args!("TLS handshake: {progress:?}"));
            }
            match progress {
                Ok(Handshake::Done) => return Ok(()),
                Ok(Handshake::Reading) => self.wait(Wire::poll_readable).await?,
                Ok(Handshake::Writing) => self.wait(Wire::poll_writable).await?,
                Err(error) => {
                    self.deadline.set_after(LAST_WORDS);
                    // The client did not wait for them, or the server stops.
                    let _ = self.last_words().await;
                    return Err(Error::io(error, "TLS handshake failed"));
                }
            }
        }
    }

    /// Sends the alert, and waits until the client has hung up: closing a socket in which something waits to be read
    /// resets the connection, and the alert may be lost.
    async fn last_words(&mut self) -> Result<()> {
        let failed = |error| Error::io(error, "last words");
        while !self.wire.flush().map_err(failed)? {
            self.wait(Wire::poll_writable).await?;
        }
        self.wire.finish();
        let mut heard = 0;
        while heard < MOST_HEARD {
            match self.wire.discard().map_err(failed)? {
                Some(0) => return Ok(()),
                Some(len) => heard += len,
                None => self.wait(Wire::poll_arrival).await?,
            }
        }
        Ok(())
    }

    async fn wait(&mut self, ready: fn(&Wire, &mut Context<'_>) -> Poll<()>) -> Result<()> {
        poll_fn(|cx| {
            if ready(self.wire, cx).is_ready() {
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
