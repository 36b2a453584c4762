// SPDX-License-Identifier: BSD-3-Clause
//! Forking. Nothing here may run once the process has a second thread.
#![allow(unsafe_code)] // fork is unsafe in a process with threads; ours has one until `serve` starts more

use nbdkit_plugin::{Error, Result};
use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
    unistd::{ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork},
};

/// Which side of a fork this is.
pub enum Side {
    /// The one that goes on being who it was; with the other's process id.
    Parent(Pid),
    /// The new one.
    Child,
}

/// Splits the process in two.
pub fn split() -> Result<Side> {
    // SAFETY: the process has one thread: the lifecycle starts none before this line of its life.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => Ok(Side::Parent(child)),
        Ok(ForkResult::Child) => Ok(Side::Child),
        Err(errno) => Err(Error::io(errno.into(), "fork")),
    }
}

/// Leaves the terminal: the parent exits with success, what returns is the child. Its directory is the root, so that
/// it keeps no file system busy.
pub fn daemonize(keep_stderr: bool) -> Result<()> {
    if let Side::Parent(_) = split()? {
        std::process::exit(0);
    }
    chdir("/").map_err(|errno| Error::io(errno.into(), "/"))?;
    silence(keep_stderr)
}

/// Standard input and output (and error, unless kept) become the null device.
pub fn silence(keep_stderr: bool) -> Result<()> {
    let failed = |errno: nix::Error| Error::io(errno.into(), "/dev/null");
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed)?;
    dup2_stdin(&null).map_err(failed)?;
    dup2_stdout(&null).map_err(failed)?;
    if !keep_stderr {
        dup2_stderr(&null).map_err(failed)?;
    }
    Ok(())
}
