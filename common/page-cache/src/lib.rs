// SPDX-License-Identifier: BSD-3-Clause
//! Whether a range of a file is in the page cache.
#![doc = include_str!("../README.md")]

mod cachestat;

use rustix::{fd::AsFd, io::ReadWriteFlags};
use std::io::IoSliceMut;

/// Whether the `len` bytes (at least one) of `file` from `offset` on exist and can be had now, without waiting for a
/// device. Costs two short system calls, whatever the length. False where the kernel cannot say (before Linux 6.5, or in a
/// sandbox that knows no `cachestat`).
///
/// The answer is about this moment: the next one may bring a truncation, or memory may get scarce.
pub fn holds(file: impl AsFd, offset: u64, len: u64) -> bool {
    let Some(last) =
        offset.checked_add(len).and_then(|end| end.checked_sub(1)).filter(|last| *last >= offset)
    else {
        return false;
    };
    let page = rustix::param::page_size() as u64;
    let pages = last / page - offset / page + 1;
    cachestat::cached(file.as_fd(), offset, len) == Some(pages) && is_there(file, last)
}

/// Whether the byte at `offset` can be read without waiting: the file is long enough, and its page is not one that a
/// device is only about to fill. Readahead fills pages in order, so the last one stands for those before it.
fn is_there(file: impl AsFd, offset: u64) -> bool {
    let mut byte = [0];
    let slices = &mut [IoSliceMut::new(&mut byte)];
    matches!(rustix::io::preadv2(file, slices, offset, ReadWriteFlags::NOWAIT), Ok(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_was_just_written_is_there_and_nothing_beyond() {
        let mut file = tempfile::tempfile_in(".").unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        if cachestat::cached(file.as_fd(), 0, 1).is_none() {
            assert!(!holds(&file, 0, 1), "no answer is no");
            return;
        }
        for (offset, len) in [(0, 1), (0, 100_000), (4095, 2), (99_999, 1), (50_000, 50_000)] {
            assert!(holds(&file, offset, len), "{offset} {len}");
        }
        for (offset, len) in
            [(0, 0), (0, 100_001), (99_999, 2), (100_000, 1), (1 << 40, 5), (u64::MAX, 1), (5, u64::MAX)]
        {
            assert!(!holds(&file, offset, len), "{offset} {len}");
        }
        file.set_len(50_000).unwrap();
        assert!(holds(&file, 40_000, 10_000) && !holds(&file, 40_000, 10_001));
    }
}
