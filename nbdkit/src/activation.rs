// SPDX-License-Identifier: BSD-3-Clause
//! Socket activation: whoever started us has bound the sockets already (sd_listen_fds(3)).
#![allow(unsafe_code)] // descriptors by number, and the environment of a process that still has one thread

use crate::listen::Listener;
use nbdkit_plugin::{Error, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use socket2::Socket;
use std::{
    env,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

/// The first descriptor that is passed.
const FIRST: RawFd = 3;
/// The most sockets that are taken.
const MOST: u32 = 16;

/// How many sockets were passed to this process; `None` if that was not said. The variables that say so are removed, so
/// that no child takes them for its own.
pub fn announced() -> Result<Option<u32>> {
    let (Some(pid), Some(count)) = (env::var_os("LISTEN_PID"), env::var_os("LISTEN_FDS")) else {
        return Ok(None);
    };
    if pid.to_str().and_then(|pid| pid.parse().ok()) != Some(std::process::id()) {
        return Ok(None);
    }
    for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
        // SAFETY: the process has one thread until it serves.
        unsafe { env::remove_var(name) };
    }
    let count =
        count.to_str().and_then(|count| count.parse().ok()).filter(|count| (1..=MOST).contains(count));
    let count = count.ok_or_else(|| {
        Error::invalid(format!("socket activation: LISTEN_FDS={count:?} out of range, should be 1 to {MOST}"))
    })?;
    Ok(Some(count))
}

/// The sockets that were announced.
pub fn inherited(count: u32) -> Result<Vec<Listener>> {
    (FIRST..FIRST + count as RawFd).map(take).collect()
}

fn take(number: RawFd) -> Result<Listener> {
    let failed =
        |errno: nix::Error| Error::io(errno.into(), format!("socket activation: descriptor {number}"));
    // SAFETY: only asks about the number, whether or not something is open there.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(failed)?;
    // SAFETY: it is open, and the protocol of socket activation makes it ours.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(number) });
    if !socket.is_listener().unwrap_or(false) {
        return Err(Error::invalid(format!(
            "socket activation: descriptor {number} is not a listening socket"
        )));
    }
    Ok(Listener::of(socket))
}
