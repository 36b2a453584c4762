// SPDX-License-Identifier: BSD-3-Clause
//! [`Content`]: which byte is at which offset, where there is data.

use nbdkit_computed_bytes::{SplitMix64, fill_words};

#[derive(Clone, Copy)]
pub(crate) struct Content {
    pub(crate) key: SplitMix64,
    /// Bytes.
    pub(crate) block: u64,
    /// All bytes are random, and not only one for each block.
    pub(crate) random: bool,
}

impl Content {
    /// Fills `buf` with the data at `offset`.
    pub(crate) fn fill(self, buf: &mut [u8], offset: u64) {
        match self.random {
            true => self.random(buf, offset),
            false => self.repeated(buf, offset),
        }
    }

    /// The same byte all over a block. It is never zero, so that data does not look like a hole.
    fn repeated(self, mut buf: &mut [u8], mut offset: u64) {
        while !buf.is_empty() {
            let left = self.block - offset % self.block;
            let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
            let (block, rest) = buf.split_at_mut(len);
            block.fill(1 + (self.key.nth(offset / self.block) % 255) as u8);
            (buf, offset) = (rest, offset + len as u64);
        }
    }

    fn random(self, buf: &mut [u8], offset: u64) {
        fill_words(buf, offset, |number| self.key.nth(number).to_le_bytes());
    }
}
