// SPDX-License-Identifier: BSD-3-Clause
//! [`Wire`]: the bytes to and from one client.

use async_io::Async;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::FileType,
    io::Errno,
};
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    net::Shutdown,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    task::{Context, Poll},
    thread::{self, JoinHandle},
};

/// Two directions, which may be one socket or, with `-s`, standard input and output.
pub struct Wire {
    input: Async<OwnedFd>,
    /// `None`: the same as `input`.
    output: Option<Async<OwnedFd>>,
    /// Carries the output to something that cannot be waited for.
    carrier: Option<Carrier>,
}

type Carrier = JoinHandle<io::Result<u64>>;

impl Wire {
    /// Both directions through one socket.
    pub fn socket(socket: impl Into<OwnedFd>) -> io::Result<Wire> {
        Ok(Wire { input: Async::new(socket.into())?, output: None, carrier: None })
    }

    /// One direction each. Files, and devices such as `/dev/null`, cannot be waited for: threads carry their bytes.
    pub fn pair(input: OwnedFd, output: OwnedFd) -> io::Result<Wire> {
        let ((input, _), (output, carrier)) =
            (waitable(input, Direction::In)?, waitable(output, Direction::Out)?);
        Ok(Wire { input: Async::new(input)?, output: Some(Async::new(output)?), carrier })
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

    /// Whether nothing that is written would ever be read. On TCP this shows only after an attempt to write.
    pub fn hung_up(&self) -> bool {
        let now = Timespec::default();
        let mut fds = [PollFd::new(self.output(), PollFlags::empty())];
        matches!(poll(&mut fds, Some(&now)), Ok(1..))
    }

    /// Tells the client that nothing more comes. Errors (a pipe, a client that has gone) do not matter any more.
    pub fn shutdown(mut self) {
        let _ = socket2::SockRef::from(self.output()).shutdown(Shutdown::Both);
        if let Some(carrier) = self.carrier.take() {
            // The last of the output is on its way; the process must not end before it.
            let _ = carrier.join();
        }
    }
}

enum Direction {
    In,
    Out,
}

/// `fd`, or the end of a socket pair whose other end a thread connects with it.
fn waitable(fd: OwnedFd, direction: Direction) -> io::Result<(OwnedFd, Option<Carrier>)> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
    if matches!(kind, FileType::Fifo | FileType::Socket) {
        return Ok((fd, None));
    }
    let (ours, theirs) = UnixStream::pair()?;
    let carry = move || match direction {
        Direction::In => io::copy(&mut File::from(fd), &mut &theirs),
        Direction::Out => io::copy(&mut &theirs, &mut File::from(fd)),
    };
    let carrier = thread::Builder::new().name("carry".into()).spawn(carry)?;
    Ok((ours.into(), Some(carrier)))
}

fn now(result: rustix::io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
