// SPDX-License-Identifier: BSD-3-Clause
//! The three things that no crate offers without `unsafe`: a descriptor by its number, `BLKDISCARD`,
//! `sync_file_range(2)`.
#![allow(unsafe_code)]

use nbdkit_plugin::Span;
use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

/// A descriptor of our own for what the inherited descriptor `number` refers to; not passed on to child processes.
///
/// # Errors
/// `EBADF` when there is no such descriptor.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the number is not -1. It was given on the command line for us to use, the process has one thread at
    // that time, and the borrow ends here: nobody closes it meanwhile. If it is not open, the system says so.
    unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()
}

nix::ioctl_write_ptr_bad!(
    /// `BLKDISCARD`, `_IO(0x12, 119)`: takes an offset and a length in bytes.
    blkdiscard,
    nix::request_code_none!(0x12, 119),
    [u64; 2]
);

/// Tells the block device `device` that the bytes of `span`, which is made of whole sectors, are not needed.
pub(crate) fn discard(device: &File, span: Span) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the system reads two u64 from the pointer, which points to them.
    unsafe { blkdiscard(device.as_raw_fd(), &[span.offset, span.len]) }?;
    Ok(())
}

/// How far [`write_out`] goes.
#[derive(Clone, Copy)]
pub(crate) enum WriteOut {
    /// Starts it.
    Begin,
    /// Starts it and waits until it is done.
    Finish,
}

/// Has the dirty pages of `span` written to the device. Not a flush: metadata and the device's own cache are left.
pub(crate) fn write_out(file: &File, span: Span, how: WriteOut) -> io::Result<()> {
    let flags = match how {
        WriteOut::Begin => libc::SYNC_FILE_RANGE_WRITE,
        WriteOut::Finish => {
            libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER
        }
    };
    // Disks are no longer than 2^63 - 1 bytes.
    let (offset, len) = (span.offset as libc::off64_t, span.len as libc::off64_t);
    // SAFETY: the descriptor is open, and no memory is passed.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
