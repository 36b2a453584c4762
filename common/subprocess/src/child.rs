// SPDX-License-Identifier: BSD-3-Clause
//! [`Child`]: a process with three pipes.
//!
//! Not `std::process::Command`: that lets children inherit the signal mask, and a server that waits for its signals in
//! one place has them blocked in all threads. A shell whose SIGTERM is blocked cannot be ended, nor what it starts.

use nix::{
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::signal::{SigSet, Signal},
};
use rustix::{
    io::Errno,
    process::{self, Pid, WaitOptions},
};
use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::ExitStatus,
};

/// Neither running on nor a zombie when it is dropped.
pub(crate) struct Child {
    /// `None` once it was waited for.
    pid: Option<Pid>,
}

impl Child {
    /// Starts `words[0]`; the other ends of its standard input, output and error.
    pub(crate) fn start(words: &[CString], environment: &[CString]) -> io::Result<(Child, [OwnedFd; 3])> {
        let path = words.first().ok_or(io::ErrorKind::InvalidInput)?;
        // All of these are closed by `exec`.
        let (stdin, feed) = io::pipe()?;
        let (output, stdout) = io::pipe()?;
        let (errors, stderr) = io::pipe()?;

        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_dup2(stdin.as_raw_fd(), 0)?;
        actions.add_dup2(stdout.as_raw_fd(), 1)?;
        actions.add_dup2(stderr.as_raw_fd(), 2)?;
        let mut attributes = PosixSpawnAttr::init()?;
        attributes
            .set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
        attributes.set_sigmask(&SigSet::empty())?;
        // Rust programs ignore it; others rely on it to end.
        attributes.set_sigdefault(&[Signal::SIGPIPE].into_iter().collect())?;

        let pid = posix_spawn(path.as_c_str(), &actions, &attributes, words, environment)?;
        Ok((Child { pid: Pid::from_raw(pid.as_raw()) }, [feed.into(), output.into(), errors.into()]))
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            match process::waitpid(self.pid, WaitOptions::empty()) {
                Ok(Some((_, status))) => {
                    self.pid = None;
                    return Ok(ExitStatus::from_raw(status.as_raw()));
                }
                Ok(None) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            let _ = process::kill_process(pid, process::Signal::KILL);
            let _ = self.wait();
        }
    }
}
