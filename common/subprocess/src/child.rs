// SPDX-License-Identifier: BSD-3-Clause
//! [`Child`]: a process that we have started.
//!
//! Not `std::process::Command`: that lets children inherit the signal mask, and a server that waits for its signals in
//! one place has them blocked in all threads. A shell whose SIGTERM is blocked cannot be ended, nor what it starts.

use nix::{
    fcntl::OFlag,
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::{
        signal::{SigSet, Signal},
        stat::Mode,
    },
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
#[derive(Debug)]
pub(crate) struct Child {
    /// `None` once it was waited for.
    pid: Option<Pid>,
}

impl Child {
    /// Starts `words[0]`; the other ends of its standard input, output and error.
    pub(crate) fn start(words: &[CString], environment: &[CString]) -> io::Result<(Child, [OwnedFd; 3])> {
        // All of these are closed by `exec`.
        let (stdin, feed) = io::pipe()?;
        let (output, stdout) = io::pipe()?;
        let (errors, stderr) = io::pipe()?;
        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_dup2(stdin.as_raw_fd(), 0)?;
        actions.add_dup2(stdout.as_raw_fd(), 1)?;
        actions.add_dup2(stderr.as_raw_fd(), 2)?;
        Ok((Child::spawn(words, environment, &actions)?, [feed.into(), output.into(), errors.into()]))
    }

    /// Starts `words[0]` with nothing to read, our own outputs, and `inherited`, if there is any, as descriptor 3.
    pub(crate) fn start_beside(
        words: &[CString],
        environment: &[CString],
        inherited: Option<&OwnedFd>,
    ) -> io::Result<Child> {
        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_open(0, c"/dev/null", OFlag::O_RDONLY, Mode::empty())?;
        if let Some(inherited) = inherited {
            // Stays open in the child even if it is 3 already (posix_spawn_file_actions_adddup2(3)).
            actions.add_dup2(inherited.as_raw_fd(), 3)?;
        }
        Child::spawn(words, environment, &actions)
    }

    fn spawn(
        words: &[CString],
        environment: &[CString],
        actions: &PosixSpawnFileActions,
    ) -> io::Result<Child> {
        let path = words.first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut attributes = PosixSpawnAttr::init()?;
        attributes
            .set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
        attributes.set_sigmask(&SigSet::empty())?;
        // Rust programs ignore it; others rely on it to end.
        attributes.set_sigdefault(&[Signal::SIGPIPE].into_iter().collect())?;

        let pid = posix_spawn(path.as_c_str(), actions, &attributes, words, environment)?;
        Ok(Child { pid: Pid::from_raw(pid.as_raw()) })
    }

    /// `None` once it was waited for.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Sends it `signal`. If it has ended, nothing happens: its number is not given away before it was waited for.
    pub(crate) fn signal(&self, signal: process::Signal) {
        if let Some(pid) = self.pid {
            let _ = process::kill_process(pid, signal);
        }
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
        if self.pid.is_some() {
            self.signal(process::Signal::KILL);
            let _ = self.wait();
        }
    }
}
