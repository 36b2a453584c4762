// SPDX-License-Identifier: BSD-3-Clause
//! `mlock`: memory that is never swapped out. The one place of this crate with `unsafe`, because no crate wraps
//! the call for memory that is borrowed, though it changes nothing that Rust knows of.
#![allow(unsafe_code)]

use std::io;

/// Keeps the pages of `memory` in RAM.
pub(crate) fn lock<T>(memory: &[T]) -> io::Result<()> {
    // SAFETY: the range is that of a live slice; its bytes are neither read nor written, and stay where they are.
    match unsafe { libc::mlock(memory.as_ptr().cast(), size_of_val(memory)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets them go. What is not locked stays so.
pub(crate) fn unlock<T>(memory: &[T]) {
    // SAFETY: as above. It cannot fail for pages that are mapped, and there is nothing to do if it did.
    unsafe { libc::munlock(memory.as_ptr().cast(), size_of_val(memory)) };
}
