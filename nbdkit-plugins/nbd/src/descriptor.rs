// SPDX-License-Identifier: BSD-3-Clause
//! The one thing that needs `unsafe`: taking over a socket by its number, because the command line says whose it is.
#![allow(unsafe_code)]

use nbdkit_plugin::{Error, Result};
use rustix::io::{FdFlags, fcntl_setfd};
use socket2::Socket;
use std::{
    io,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

/// The connected socket behind `number`, which is closed with it and not passed on to child processes.
///
/// # Errors
/// When nothing is open there, or no socket that is connected.
pub(crate) fn take_socket(number: RawFd) -> Result<Socket> {
    let failed = |error: io::Error| Error::io(error, format!("socket-fd={number}"));
    // SAFETY: not -1, which the parameter rules out; the call only asks about the number, whether or not something is
    // open there, and the borrow ends with it.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(fd, FdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
    // SAFETY: it is open, and whoever started the program has said that it is ours to use. Nobody else in this process
    // uses it: it was inherited, and is taken once.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(number) });
    match socket.peer_addr() {
        Ok(_) => Ok(socket),
        Err(error) => {
            // Given back: it may be somebody else's file.
            let _ = std::os::fd::IntoRawFd::into_raw_fd(socket);
            Err(failed(error))
        }
    }
}
