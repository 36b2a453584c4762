// SPDX-License-Identifier: BSD-3-Clause
//! [`Wire`]: the bytes to and from one client.

use async_io::Async;
use rustix::io::Errno;
use std::{
    io::{self, IoSlice, IoSliceMut},
    task::{Context, Poll},
    net::Shutdown,
    os::fd::{AsFd, OwnedFd},
};

/// Two directions, which may be one socket or, with `-s`, standard input and output.
pub struct Wire {
    input: Async<OwnedFd>,
    /// `None`: the same as `input`.
    output: Option<Async<OwnedFd>>,
}

impl Wire {
    /// Both directions through one socket.
    pub fn socket(socket: impl Into<OwnedFd>) -> io::Result<Wire> {
        Ok(Wire { input: Async::new(socket.into())?, output: None })
    }

    /// One direction each.
    pub fn pair(input: OwnedFd, output: OwnedFd) -> io::Result<Wire> {
        Ok(Wire { input: Async::new(input)?, output: Some(Async::new(output)?) })
    }

    fn output(&self) -> &Async<OwnedFd> {
        self.output.as_ref().unwrap_or(&self.input)
    }

    /// What is there, now. `None`: nothing yet. 0: the client has closed its side.
    pub fn try_read(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<Option<usize>> {
        now(rustix::io::readv(self.input.as_fd(), bufs))
    }

    /// As much as goes, now. `None`: nothing goes.
    pub fn try_write(&self, bufs: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        now(rustix::io::writev(self.output().as_fd(), bufs))
    }

    /// Ready when [`try_read`](Wire::try_read) is worth another call. Errors show there.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.input.poll_readable(cx).map(|_| ())
    }

    /// Ready when [`try_write`](Wire::try_write) is worth another call. Errors show there.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.output().poll_writable(cx).map(|_| ())
    }

    /// Tells the client that nothing more comes. Errors (a pipe, a client that has gone) do not matter any more.
    pub fn shutdown(&self) {
        let _ = socket2::SockRef::from(self.output()).shutdown(Shutdown::Both);
    }
}

fn now(result: rustix::io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
