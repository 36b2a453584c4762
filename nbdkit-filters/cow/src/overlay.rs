// SPDX-License-Identifier: BSD-3-Clause
//! [`Overlay`]: what all clients of one export have written, and how a block gets its place without a lock held.

use crate::{
    map::{Map, State},
    store::Store,
};
use nbdkit_filter::{Arc, ENOSPC, Error, Result, Span};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many runs an overlay may have; they take about 50 bytes of memory each.
const MOST_RUNS: usize = 1 << 24;

/// What has become of an export.
pub(crate) struct Overlay {
    pub(crate) store: Arc<Store>,
    /// Of the disk, in bytes.
    pub(crate) size: u64,
    /// A power of two. States change in whole blocks (or what there is of the last one).
    pub(crate) block: u64,
    map: Mutex<Map>,
}

impl Overlay {
    /// Nothing has changed yet on a disk of `size` bytes.
    pub(crate) fn new(store: Arc<Store>, size: u64, block: u64) -> Overlay {
        Overlay { store, size, block, map: Mutex::default() }
    }

    /// Nothing has changed.
    pub(crate) fn is_untouched(&self) -> bool {
        self.map().runs() == 0
    }

    /// The state at the start of `span`, and for how many of its bytes that goes on.
    pub(crate) fn first(&self, span: Span) -> (u64, State) {
        self.map().first(span)
    }

    /// All of `span`, in pieces of one state.
    pub(crate) fn pieces(&self, span: Span) -> Vec<(Span, State)> {
        let (map, mut at) = (self.map(), span.offset);
        let next = || {
            let rest = Span::new(at, span.end() - at);
            let (len, state) = map.first(rest);
            at += len;
            (len > 0).then_some((Span::new(rest.offset, len), state))
        };
        std::iter::from_fn(next).collect()
    }

    /// The block that holds the byte at `offset`.
    pub(crate) fn block_of(&self, offset: u64) -> Span {
        let start = offset - offset % self.block;
        Span::new(start, self.block.min(self.size.saturating_sub(start)))
    }

    /// Those whole blocks that `span` starts with.
    pub(crate) fn whole_blocks(&self, span: Span) -> Span {
        let partial = match span.end() == self.size {
            true => 0,
            false => span.end() % self.block,
        };
        match span.offset % self.block {
            0 => Span::new(span.offset, span.len.saturating_sub(partial)),
            _ => Span::new(span.offset, 0),
        }
    }

    /// All the blocks that `span` touches.
    pub(crate) fn blocks_around(&self, span: Span) -> Span {
        let start = self.block_of(span.offset).offset;
        let end = self.block_of(span.end().saturating_sub(1)).end();
        Span::new(start, end.saturating_sub(start))
    }

    /// Lets `blocks` read as zeroes, as far as they are untouched. For how many bytes that was so.
    pub(crate) fn blank(&self, blocks: Span) -> Result<u64> {
        let mut map = self.room()?;
        let (len, state) = map.first(blocks);
        if state != State::Untouched {
            return Ok(0);
        }
        map.set(Span::new(blocks.offset, len), State::Zero);
        Ok(len)
    }

    /// A place for `blocks`, which nobody sees before it is published.
    pub(crate) fn draft(&self, blocks: Span) -> Result<Draft<'_>> {
        drop(self.room()?);
        // Places are whole blocks too, so that they start at a page.
        let place = blocks.len.next_multiple_of(self.block);
        let place = Span::new(self.store.take(place)?, place);
        Ok(Draft { overlay: self, blocks, place, published: 0 })
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        // Nothing under this lock panics half-way; a poisoned one is as good as any.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self) -> Result<MutexGuard<'_, Map>> {
        let map = self.map();
        match map.runs() < MOST_RUNS {
            true => Ok(map),
            false => Err(Error::new(
                ENOSPC,
                format!(
                    "the overlay is in {MOST_RUNS} pieces, which is the limit: choose a larger cow-block-size than {}",
                    self.block
                ),
            )),
        }
    }
}

/// New contents for some blocks. Dropped without being published, it leaves no trace: operations that have begun are
/// finished, so nothing is being written to its place any more.
pub(crate) struct Draft<'a> {
    overlay: &'a Overlay,
    blocks: Span,
    place: Span,
    published: u64,
}

impl Draft<'_> {
    /// Where in the store it is to be filled.
    pub(crate) fn at(&self) -> u64 {
        self.place.offset
    }

    /// Shows it to everybody, from the first block up to the first one that is not any more as it was `seen` when
    /// the draft was begun: somebody else was faster there, and what the draft says of it is out of date.
    ///
    /// How many bytes are now as drafted. States only go forward, so trying again ends.
    pub(crate) fn publish(mut self, seen: State) -> u64 {
        let mut map = self.overlay.map();
        let (len, state) = map.first(self.blocks);
        if state != seen {
            return 0;
        }
        map.set(Span::new(self.blocks.offset, len), State::Placed(self.place.offset));
        self.published = len.next_multiple_of(self.overlay.block);
        len
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        let Span { offset, len } = self.place;
        if self.published < len {
            self.overlay.store.give_back(Span::new(offset + self.published, len - self.published));
        }
    }
}
