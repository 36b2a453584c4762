// SPDX-License-Identifier: BSD-3-Clause
//! [`Export`]: what the clients of one export have in common.

use crate::blocks::{Blocks, ExportId};
use nbdkit_filter::Span;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// A disk that is cached.
pub(crate) struct Export {
    pub(crate) id: ExportId,
    /// In bytes.
    pub(crate) size: u64,
    /// Of the cache, in bytes.
    pub(crate) block: u64,
    /// A second flush waits for the first, and then finds little to do.
    pub(crate) flushing: async_lock::Mutex<()>,
    clients: AtomicUsize,
}

impl Export {
    pub(crate) fn new(id: ExportId, size: u64, block: u64) -> Export {
        Export { id, size, block, flushing: async_lock::Mutex::new(()), clients: AtomicUsize::new(0) }
    }

    pub(crate) fn enter(&self) {
        self.clients.fetch_add(1, SeqCst);
    }

    /// Whether that was the last one.
    pub(crate) fn leave(&self) -> bool {
        self.clients.fetch_sub(1, SeqCst) == 1
    }

    pub(crate) fn in_use(&self) -> bool {
        self.clients.load(SeqCst) > 0
    }

    /// All of it.
    pub(crate) fn all(&self) -> Blocks {
        Blocks::new(self.id, 0, self.size.div_ceil(self.block))
    }

    /// All the blocks that `span` touches.
    pub(crate) fn around(&self, span: Span) -> Blocks {
        Blocks::new(self.id, span.offset / self.block, span.end().div_ceil(self.block))
    }

    /// All the blocks that lie within `span`; the last block of the disk may be shorter than others.
    pub(crate) fn within(&self, span: Span) -> Blocks {
        let first = span.offset.div_ceil(self.block);
        let end = match span.end() == self.size {
            true => self.size.div_ceil(self.block),
            false => span.end() / self.block,
        };
        Blocks::new(self.id, first, end.max(first))
    }

    /// The bytes of `blocks`.
    pub(crate) fn span(&self, blocks: Blocks) -> Span {
        let start = blocks.first * self.block;
        Span::new(start, blocks.end.saturating_mul(self.block).min(self.size).saturating_sub(start))
    }

    /// Those of them that are in `span` too.
    pub(crate) fn part(&self, blocks: Blocks, span: Span) -> Span {
        let all = self.span(blocks);
        let start = all.offset.max(span.offset);
        Span::new(start, all.end().min(span.end()).saturating_sub(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_to_blocks_and_back() {
        let export = Export::new(1, 4096 * 3 + 100, 4096);
        let blocks = |first, end| Blocks::new(1, first, end);
        assert_eq!(export.all(), blocks(0, 4));
        assert_eq!(export.around(Span::new(4095, 2)), blocks(0, 2));
        assert_eq!(export.around(Span::new(4096, 4096)), blocks(1, 2));
        assert_eq!(export.within(Span::new(1, 4096 * 2)), blocks(1, 2));
        assert_eq!(export.within(Span::new(1, 100)), blocks(1, 1));
        assert_eq!(export.within(Span::new(4096, 4096 * 2 + 100)), blocks(1, 4), "with the short one");
        assert_eq!(export.within(Span::new(4096, 4096 * 2 + 99)), blocks(1, 3));
        assert_eq!(export.span(blocks(2, 4)), Span::new(8192, 4196));
        assert_eq!(export.part(blocks(2, 4), Span::new(9000, 100_000)), Span::new(9000, 3388));
        let huge = Export::new(1, i64::MAX as u64, 1 << 31);
        assert_eq!(huge.span(huge.all()), Span::new(0, i64::MAX as u64));
    }
}
