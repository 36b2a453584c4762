// SPDX-License-Identifier: BSD-3-Clause
//! [`Wire`]: the bytes to and from one client.

mod files;
mod secured;

pub use secured::{Ending, Handshake};

use crate::tls::engine::{Engine, Session};
use async_io::Async;
use nbdkit_plugin::FileRange;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::FileType,
    io::Errno,
};
use secured::Secured;
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    net::Shutdown,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{Mutex, MutexGuard, PoisonError},
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
    /// Once the client has asked for TLS. Nobody else ever has the lock: it only makes a shared wire do.
    secured: Option<Box<Mutex<Secured>>>,
}

type Carrier = JoinHandle<io::Result<u64>>;

impl Wire {
    /// Both directions through one socket.
    pub fn socket(socket: impl Into<OwnedFd>) -> io::Result<Wire> {
        Ok(Wire { input: Async::new(socket.into())?, output: None, carrier: None, secured: None })
    }

    /// One direction each. Files, and devices such as `/dev/null`, cannot be waited for: threads carry their bytes.
    pub fn pair(input: OwnedFd, output: OwnedFd) -> io::Result<Wire> {
        let ((input, _), (output, carrier)) =
            (waitable(input, Direction::In)?, waitable(output, Direction::Out)?);
        Ok(Wire { input: Async::new(input)?, output: Some(Async::new(output)?), carrier, secured: None })
    }

    fn output(&self) -> &Async<OwnedFd> {
        self.output.as_ref().unwrap_or(&self.input)
    }

    /// From now on everything goes through `engine`; begin with [`try_handshake`](Wire::try_handshake).
    pub fn secure(&mut self, engine: Engine) {
        self.secured = Some(Box::new(Mutex::new(Secured::new(engine))));
    }

    fn secured(&self) -> Option<MutexGuard<'_, Secured>> {
        // An engine that panicked half-way has failed; what it says next is an error at worst.
        self.secured.as_ref().map(|secured| secured.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with the TLS handshake as far as that is possible now.
    ///
    /// # Errors
    /// Why it has failed; [`flush`](Wire::flush) then tells the client.
    pub fn try_handshake(&self) -> io::Result<Handshake> {
        match self.secured() {
            Some(mut secured) => secured.handshake(self.input.as_fd(), self.output().as_fd()),
            None => Ok(Handshake::Done),
        }
    }

    /// Looks at what the TLS handshake has agreed on.
    pub fn session<T>(&self, look: impl FnOnce(&Session) -> T) -> Option<T> {
        self.secured()?.engine().session().map(look)
    }

    /// How the client has ended its side of a TLS connection, if it has.
    pub fn ending(&self) -> Option<Ending> {
        self.secured()?.ending()
    }

    /// Sends what TLS has to say by itself; whether all of it went.
    pub fn flush(&self) -> io::Result<bool> {
        let Some(mut secured) = self.secured() else { return Ok(true) };
        secured.flush(self.output().as_fd())?;
        Ok(secured.engine().output().is_empty())
    }

    /// What is there, now. `None`: nothing yet. 0: the client has closed its side.
    pub fn try_read(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<Option<usize>> {
        match self.secured() {
            None => now(rustix::io::readv(self.input.as_fd(), bufs)),
            Some(mut secured) => secured.try_read(self.input.as_fd(), self.output().as_fd(), bufs),
        }
    }

    /// As much as goes, now. `None`: nothing goes; then the next call must begin with the same bytes, of which TLS has taken
    /// some. With `more`, what goes waits a moment for what the next call brings, to share a packet with it.
    pub fn try_write(&self, bufs: &[IoSlice<'_>], more: bool) -> io::Result<Option<usize>> {
        match self.secured() {
            None if more => now(files::announce(self.output().as_fd(), bufs)),
            None => now(rustix::io::writev(self.output().as_fd(), bufs)),
            Some(mut secured) => secured.try_write(self.output().as_fd(), bufs),
        }
    }

    /// Which ranges of files [`try_send`](Wire::try_send) takes.
    pub fn sendable_files(&self) -> fn(&FileRange) -> bool {
        match (&self.secured, &self.output) {
            (None, None) => files::is_sendable,
            // Encryption needs the bytes, and what is no socket is not worth the care.
            _ => |_| false,
        }
    }

    /// As [`try_write`](Wire::try_write), with the bytes of a sendable range of a file from `skip` on.
    pub fn try_send(&self, range: &FileRange, skip: u64) -> io::Result<Option<usize>> {
        files::send(self.output().as_fd(), range, skip)
    }

    /// Ready when [`try_read`](Wire::try_read) is worth another call. Errors show there.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(secured) = self.secured()
            && (secured.readable() || secured.restless() && self.output().poll_writable(cx).is_ready())
        {
            return Poll::Ready(());
        }
        self.poll_arrival(cx)
    }

    /// Ready when the socket has something, whatever it is.
    pub fn poll_arrival(&self, cx: &mut Context<'_>) -> Poll<()> {
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

    /// Gives back memory, before a wait that may be long.
    pub fn rest(&self) {
        if let Some(mut secured) = self.secured() {
            secured.rest();
        }
    }

    /// Throws away what the client still says, now. `None`: nothing yet. 0: it has closed its side.
    pub fn discard(&self) -> io::Result<Option<usize>> {
        now(rustix::io::read(self.input.as_fd(), &mut [0; 4096]))
    }

    /// Tells the client that nothing more comes, and still listens.
    pub fn finish(&self) {
        let _ = socket2::SockRef::from(self.output()).shutdown(Shutdown::Write);
    }

    /// Tells the client that nothing more comes. Errors (a pipe, a client that has gone) do not matter any more.
    pub fn shutdown(mut self) {
        if let Some(mut secured) = self.secured() {
            secured.close(self.output().as_fd());
        }
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
