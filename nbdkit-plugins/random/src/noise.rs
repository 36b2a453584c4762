// SPDX-License-Identifier: BSD-3-Clause
//! [`Noise`]: which byte is at which offset.

use nbdkit_computed_bytes::{Computed, SplitMix64, fill_words};

/// The bytes that belong to a seed are a promise: change them only with a new version that says so.
#[derive(Clone, Copy)]
pub(crate) struct Noise(SplitMix64);

impl Noise {
    pub(crate) fn new(seed: u32) -> Noise {
        Noise(SplitMix64::seeded(seed))
    }
}

impl Computed for Noise {
    fn fill(&self, buf: &mut [u8], offset: u64) {
        fill_words(buf, offset, |number| self.0.nth(number).to_le_bytes());
    }
}
