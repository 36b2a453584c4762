// SPDX-License-Identifier: BSD-3-Clause
//! `cachestat(2)`, which no crate offers without `unsafe`.
#![allow(unsafe_code)]

use rustix::fd::{AsRawFd, BorrowedFd};

/// `struct cachestat_range` of `linux/mman.h`.
#[repr(C)]
struct Range {
    offset: u64,
    len: u64,
}

/// `struct cachestat` of `linux/mman.h`.
#[repr(C)]
#[derive(Default)]
struct Pages {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// The number of the system call: the same everywhere but on MIPS. libc does not know it on all targets.
const NUMBER: libc::c_long = if cfg!(target_arch = "mips64") {
    5451
} else if cfg!(target_arch = "mips") {
    4451
} else {
    451
};

/// How many pages of the range, of which the first and the last may be partial, are in the page cache. `None`: the kernel
/// does not say.
pub(crate) fn cached(file: BorrowedFd<'_>, offset: u64, len: u64) -> Option<u64> {
    let range = Range { offset, len };
    let mut pages = Pages::default();
    // SAFETY: the descriptor is open. The kernel reads a `Range` and writes a `Pages`, and both are there and laid out as
    // it wants them.
    let status = unsafe { libc::syscall(NUMBER, file.as_raw_fd(), &raw const range, &raw mut pages, 0) };
    (status == 0).then_some(pages.cached)
}
