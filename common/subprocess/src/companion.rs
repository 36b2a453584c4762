// SPDX-License-Identifier: BSD-3-Clause
//! [`Companion`]: a program that runs beside us.

use crate::child::Child;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{PidfdFlags, Signal, pidfd_open},
};
use std::{
    io,
    process::ExitStatus,
    time::{Duration, Instant},
};

/// A program that runs beside us, until it ends by itself or is told to. Killed when dropped.
#[derive(Debug)]
pub struct Companion(pub(crate) Child);

impl Companion {
    /// Its process id.
    pub fn id(&self) -> Option<u32> {
        self.0.pid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned())
    }

    /// Asks it to end (`SIGTERM`), waits up to `patience`, then kills it. How it ended.
    ///
    /// # Errors
    /// The system's, when it cannot be waited for.
    pub fn end(mut self, patience: Duration) -> io::Result<ExitStatus> {
        self.0.signal(Signal::TERM);
        if !self.has_ended_within(patience)? {
            self.0.signal(Signal::KILL);
        }
        self.0.wait()
    }

    fn has_ended_within(&self, patience: Duration) -> io::Result<bool> {
        let Some(pid) = self.0.pid() else { return Ok(true) };
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            // Readable once the process has ended (pidfd_open(2)).
            match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
                Ok(count) => return Ok(count > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
