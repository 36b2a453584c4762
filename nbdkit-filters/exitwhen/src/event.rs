// SPDX-License-Identifier: BSD-3-Clause
//! [`Event`]: what is waited for, and whether it has happened.

use crate::descriptor;
use nbdkit_filter::{EINVAL, Error, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{io, os::fd::OwnedFd, path::PathBuf};

pub(crate) enum Event {
    Created(PathBuf),
    Deleted(PathBuf),
    /// The reading end.
    PipeClosed(OwnedFd),
    /// A pidfd, which stays with its process when the number is used again.
    ProcessExits(OwnedFd),
}

impl Event {
    /// # Errors
    /// When there is no such process.
    pub(crate) fn process(number: u32) -> Result<Event> {
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH);
        let opened = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        opened.map(Event::ProcessExits).map_err(|errno| {
            // As a file it does not exist either, which is what callers look for.
            let errno = if errno == Errno::SRCH { Errno::NOENT } else { errno };
            Error::io(errno.into(), format!("exit-when-process-exits: /proc/{number}/stat"))
        })
    }

    /// # Errors
    /// When nothing is open with that number.
    pub(crate) fn pipe(number: u32) -> Result<Event> {
        descriptor::duplicate(number).map(Event::PipeClosed).map_err(|error: io::Error| {
            let what = format!("exit-when-pipe-closed: invalid file descriptor: {number}");
            match error.raw_os_error() {
                Some(libc) if libc == Errno::BADF.raw_os_error() => {
                    Error::new(EINVAL, format!("{what} is not open: should be the reading end of a pipe"))
                }
                _ => Error::io(error, what),
            }
        })
    }

    /// Looks, and does not wait.
    pub(crate) fn has_happened(&self) -> bool {
        match self {
            Event::Created(path) => path.exists(),
            // Not when it only cannot be looked at.
            Event::Deleted(path) => path.try_exists().is_ok_and(|exists| !exists),
            // The writers have gone; what they have left to be read does not matter.
            Event::PipeClosed(pipe) => ready(pipe, PollFlags::empty()),
            Event::ProcessExits(process) => ready(process, PollFlags::IN),
        }
    }

    /// For the log.
    pub(crate) fn describe(&self) -> String {
        match self {
            Event::Created(path) => format!("exit-when-file-created: detected {} created", path.display()),
            Event::Deleted(path) => format!("exit-when-file-deleted: detected {} deleted", path.display()),
            Event::PipeClosed(_) => "exit-when-pipe-closed: detected pipe closed".to_owned(),
            Event::ProcessExits(_) => "exit-when-process-exits: detected process exit".to_owned(),
        }
    }
}

fn ready(fd: &OwnedFd, events: PollFlags) -> bool {
    let mut fds = [PollFd::new(fd, events)];
    matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..))
}
