// SPDX-License-Identifier: BSD-3-Clause
//! Writing to one pipe and reading from two, whichever is ready, in one thread.

use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags, poll},
    io::{Errno, ioctl_fionbio, read, write},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// As much as a pipe holds at once.
const PIECE: usize = 64 << 10;

/// What is still to be written.
pub(crate) struct Feed<'a> {
    pipe: Option<OwnedFd>,
    left: &'a [u8],
}

impl<'a> Feed<'a> {
    /// Nothing to write: the pipe is closed at once.
    pub(crate) fn new(pipe: OwnedFd, input: &'a [u8]) -> io::Result<Feed<'a>> {
        if input.is_empty() {
            return Ok(Feed { pipe: None, left: input });
        }
        // A pipe that is ready may have less room than what is left.
        ioctl_fionbio(&pipe, true)?;
        Ok(Feed { pipe: Some(pipe), left: input })
    }

    fn step(&mut self) -> io::Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        match write(pipe, self.left) {
            Ok(count) => self.left = self.left.get(count..).unwrap_or_default(),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // It does not want the rest, which is its right.
            Err(Errno::PIPE) => self.left = &[],
            Err(error) => return Err(error.into()),
        }
        if self.left.is_empty() {
            self.pipe = None;
        }
        Ok(())
    }
}

/// What becomes of bytes beyond the limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surplus {
    /// The pipe is closed.
    Refused,
    /// They are read, so that the program goes on.
    Forgotten,
}

/// What has been read.
pub(crate) struct Capture {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
    limit: usize,
    policy: Surplus,
    surplus: bool,
}

impl Capture {
    pub(crate) fn new(pipe: OwnedFd, limit: usize, policy: Surplus) -> Capture {
        Capture { pipe: Some(pipe), bytes: Vec::new(), limit, policy, surplus: false }
    }

    pub(crate) fn surplus(&self) -> bool {
        self.surplus
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Reads once, which does not wait if the pipe is ready.
    fn step(&mut self) -> io::Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        let room = self.limit.saturating_sub(self.bytes.len());
        let result = if room > 0 {
            self.bytes.reserve(room.min(PIECE));
            read(pipe, spare_capacity(&mut self.bytes))
        } else {
            read(pipe, &mut [0; 4096]).inspect(|count| self.surplus |= *count > 0)
        };
        // The vector may have reserved more than it was asked for.
        self.surplus |= self.bytes.len() > self.limit;
        self.bytes.truncate(self.limit);
        match result {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(0) => self.pipe = None,
            Ok(_) if self.surplus && self.policy == Surplus::Refused => self.pipe = None,
            Ok(_) => {}
        }
        Ok(())
    }
}

/// Until all three pipes are closed.
pub(crate) fn exchange(feed: &mut Feed, output: &mut Capture, errors: &mut Capture) -> io::Result<()> {
    loop {
        let pipes = [
            feed.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::OUT)),
            output.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            errors.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
        ];
        let Some([may_write, may_read, may_read_errors]) = ready(pipes)? else { return Ok(()) };
        if may_write {
            feed.step()?;
        }
        if may_read {
            output.step()?;
        }
        if may_read_errors {
            errors.step()?;
        }
    }
}

/// Waits until there is something to do: which of the pipes are ready, or `None` if all are closed.
fn ready(pipes: [Option<(BorrowedFd<'_>, PollFlags)>; 3]) -> io::Result<Option<[bool; 3]>> {
    let open = pipes.into_iter().flatten();
    let mut polled: Vec<PollFd<'_>> = open.map(|(fd, events)| PollFd::from_borrowed_fd(fd, events)).collect();
    if polled.is_empty() {
        return Ok(None);
    }
    match poll(&mut polled, None) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(Some([false; 3])),
        Err(error) => return Err(error.into()),
    }
    // An end that was hung up or is broken counts: the next step finds out.
    let mut answers = polled.iter().map(|fd| !fd.revents().is_empty());
    Ok(Some(pipes.map(|pipe| pipe.is_some() && answers.next().unwrap_or(false))))
}
