// SPDX-License-Identifier: BSD-3-Clause
//! [`Pattern`]: which byte is at which offset.

use nbdkit_computed_bytes::{Computed, fill_words};

/// Every multiple of `stride` begins with its own offset, as a big-endian number of 64 bits whose upper 16 bits are
/// combined with `upper`. All else is zero.
#[derive(Clone, Copy)]
pub(crate) struct Pattern {
    /// In bytes: a power of two, at least 8.
    pub(crate) stride: u64,
    pub(crate) upper: u16,
}

impl Pattern {
    /// The 8 bytes at `offset`, which is a multiple of 8.
    fn word(self, offset: u64) -> [u8; 8] {
        match offset & (self.stride - 1) {
            0 => (offset ^ u64::from(self.upper) << 48).to_be_bytes(),
            _ => [0; 8],
        }
    }
}

impl Computed for Pattern {
    fn fill(&self, buf: &mut [u8], offset: u64) {
        fill_words(buf, offset, |number| self.word(number * 8));
    }
}
