// SPDX-License-Identifier: BSD-3-Clause
//! Taking over a descriptor by its number, because the command line says whose it is.
#![allow(unsafe_code)]

use nix::fcntl::{FcntlArg, fcntl};
use std::{
    fs::File,
    io,
    os::fd::{BorrowedFd, FromRawFd},
};

/// The file behind `number`, which is closed with it.
///
/// # Errors
/// When nothing is open there.
pub fn take(number: i32) -> io::Result<File> {
    // SAFETY: only asks about the number, whether or not something is open there.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(fd, FcntlArg::F_GETFD)?;
    // SAFETY: it is open, and whoever started the program has said that it is ours to read.
    Ok(unsafe { File::from_raw_fd(number) })
}
