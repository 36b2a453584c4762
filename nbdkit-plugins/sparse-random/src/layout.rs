// SPDX-License-Identifier: BSD-3-Clause
//! [`Layout`]: where the data is.
//!
//! The disk is cut into slots of one length, as long as a stretch of data and its hole are on average. Each slot holds
//! one stretch of random length at a random place. So what is at an offset is known without looking at what is before
//! it, and a disk of any size needs no memory.

use crate::values::{Block, Percent, RunLength};
use nbdkit_computed_bytes::SplitMix64;
use nbdkit_plugin::Span;

#[derive(Clone, Copy)]
pub(crate) struct Layout {
    key: SplitMix64,
    /// Bytes.
    block: u64,
    /// Blocks.
    slot: u64,
    /// How many blocks of a slot are data on average, in parts per million of a block.
    mean: u128,
}

impl Layout {
    /// For a disk of `size` bytes.
    pub(crate) fn new(
        size: u64,
        key: SplitMix64,
        percent: Percent,
        run: RunLength,
        Block(block): Block,
    ) -> Layout {
        let (share, all) = (u128::from(percent.0), u128::from(Percent::ALL));
        let run = u128::from(run.0.div_ceil(block));
        let blocks = u128::from(size.div_ceil(block).max(1));
        // A small disk is one slot, so that its share is right too.
        let slot = if share == 0 { blocks } else { blocks.min((run * all).div_ceil(share)) };
        // No more than the blocks of a disk, which are a u64.
        Layout { key, block, slot: slot as u64, mean: slot * share }
    }

    /// What is at `offset`, data or not, and up to which offset.
    pub(crate) fn at(&self, offset: u64) -> (bool, u64) {
        let slot = self.slot * self.block;
        let (number, start) = (offset / slot, offset - offset % slot);
        let (first, len) = self.data(number);
        let (first, end) = (start + first * self.block, start + (first + len) * self.block);
        match offset {
            _ if offset < first => (false, first),
            _ if offset < end => (true, end),
            _ => (false, start + slot),
        }
    }

    /// Where the data of slot `number` is: its first block within the slot, and how many.
    fn data(&self, number: u64) -> (u64, u64) {
        let mut draws = (0..).map(|which| SplitMix64(self.key.0 ^ which).nth(number));
        // Up to but not including `limit`, which is not 0.
        let mut below = |limit: u64| draws.next().unwrap_or(0) % limit;
        let all = u128::from(Percent::ALL);
        let (whole, part) = ((self.mean / all) as u64, (self.mean % all) as u64);
        let mean = whole + u64::from(below(Percent::ALL.into()) < part);
        // As much shorter as longer, so that the mean is right; at least one block, at most all.
        let spread = mean.saturating_sub(1).min(self.slot - mean);
        let len = mean - spread + below(2 * spread + 1);
        (below(self.slot - len + 1), len)
    }

    /// The parts of `span`, in order, and whether they are data. Neighbours may be alike.
    pub(crate) fn parts(self, span: Span) -> impl Iterator<Item = (Span, bool)> {
        let mut at = span.offset;
        std::iter::from_fn(move || {
            let start = at;
            let (data, end) = (at < span.end()).then(|| self.at(start))?;
            at = end.min(span.end());
            Some((Span::new(start, at - start), data))
        })
    }
}
