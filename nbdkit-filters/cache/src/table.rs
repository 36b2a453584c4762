// SPDX-License-Identifier: BSD-3-Clause
//! [`Table`]: which block is in which slot of the temporary file, which are dirty, and which was used last.

use crate::blocks::{Blocks, ExportId};
use std::collections::{BTreeMap, BTreeSet};

/// Slots of the temporary file, by number; each holds one block.
type Slot = u64;
type Key = (ExportId, u64);

/// What the cache holds. Its size depends on that, not on the size of disks.
pub(crate) struct Table {
    /// How many slots there may be.
    limit: u64,
    placed: BTreeMap<Key, Place>,
    /// Not written to the disk behind yet.
    dirty: BTreeSet<Key>,
    /// By when they were used last. Empty without a limit: then nothing ever has to go.
    order: BTreeMap<u64, Key>,
    clock: u64,
    /// Below `end`, and nobody's. The lowest are taken first, so that blocks that follow each other often do so in the
    /// file as well.
    free: BTreeSet<Slot>,
    /// Slots from here on were never used.
    end: Slot,
}

struct Place {
    slot: Slot,
    used: u64,
}

/// Some blocks, and where they are: from this slot on, one after the other, or nowhere.
pub(crate) type Piece = (Blocks, Option<Slot>);

impl Table {
    /// For at most `limit` blocks, if there is one.
    pub(crate) fn new(limit: Option<u64>) -> Table {
        Table {
            limit: limit.unwrap_or(u64::MAX),
            placed: BTreeMap::new(),
            dirty: BTreeSet::new(),
            order: BTreeMap::new(),
            clock: 0,
            free: BTreeSet::new(),
            end: 0,
        }
    }

    /// How many slots hold a block or are about to.
    pub(crate) fn used(&self) -> u64 {
        self.end - self.free.len() as u64
    }

    /// Where `blocks` are, in pieces as long as possible.
    pub(crate) fn find(&self, blocks: Blocks) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut add = |run: Blocks, slot: Option<Slot>| match pieces.last_mut() {
            Some((last, first)) if first.map(|first| first + last.count()) == slot => last.end = run.end,
            _ if run.count() > 0 => pieces.push((run, slot)),
            _ => {}
        };
        let mut next = blocks.first;
        for ((_, block), place) in self.placed.range(keys(blocks)) {
            add(Blocks::new(blocks.export, next, *block), None);
            add(Blocks::new(blocks.export, *block, block + 1), Some(place.slot));
            next = block + 1;
        }
        add(Blocks::new(blocks.export, next, blocks.end), None);
        pieces
    }

    /// `blocks`, as far as they are here, are used now.
    pub(crate) fn touch(&mut self, blocks: Blocks) {
        if self.limit == u64::MAX {
            return;
        }
        for (key, place) in self.placed.range_mut(keys(blocks)) {
            self.clock += 1;
            self.order.remove(&place.used);
            self.order.insert(self.clock, *key);
            place.used = self.clock;
        }
    }

    /// Whether all `blocks` are here.
    pub(crate) fn has_all(&self, blocks: Blocks) -> bool {
        self.placed.range(keys(blocks)).count() as u64 == blocks.count()
    }

    /// At most `count` slots, as far as the limit allows.
    pub(crate) fn take(&mut self, count: u64) -> Vec<Slot> {
        let count = count.min(self.limit.saturating_sub(self.used()));
        let next = || {
            self.free.pop_first().unwrap_or_else(|| {
                self.end += 1;
                self.end - 1
            })
        };
        std::iter::repeat_with(next).take(count as usize).collect()
    }

    /// The opposite, for a slot that holds no block.
    pub(crate) fn give_back(&mut self, slot: Slot) {
        self.free.insert(slot);
    }

    /// `block`, which is not here yet, is in `slot`.
    pub(crate) fn place(&mut self, export: ExportId, block: u64, slot: Slot) {
        self.placed.insert((export, block), Place { slot, used: 0 });
        self.touch(Blocks::new(export, block, block + 1));
    }

    /// Takes out those of `blocks` that are clean, or all of them. Their slots are not given back: what is in them may
    /// have to be discarded first.
    pub(crate) fn remove(&mut self, blocks: Blocks, dirty_too: bool) -> Vec<Slot> {
        let here = self.placed.range(keys(blocks)).map(|(key, _)| *key);
        let going: Vec<Key> = here.filter(|key| dirty_too || !self.dirty.contains(key)).collect();
        let remove = |key| {
            self.dirty.remove(&key);
            let place = self.placed.remove(&key)?;
            self.order.remove(&place.used);
            Some(place.slot)
        };
        going.into_iter().filter_map(remove).collect()
    }

    /// `blocks`, which are here, are dirty from now on, or not.
    pub(crate) fn mark(&mut self, blocks: Blocks, dirty: bool) {
        for block in blocks.first..blocks.end {
            match dirty {
                true => drop(self.dirty.insert((blocks.export, block))),
                false => drop(self.dirty.remove(&(blocks.export, block))),
            }
        }
    }

    /// The first of `blocks` that are dirty, as many as follow each other, but no more than `most`.
    pub(crate) fn first_dirty(&self, blocks: Blocks, most: u64) -> Option<Blocks> {
        let mut found = self.dirty.range(keys(blocks)).map(|(_, block)| *block);
        let first = found.next()?;
        let more = found.zip(first + 1..first.saturating_add(most));
        let more = more.take_while(|(block, expected)| block == expected).count() as u64;
        Some(Blocks::new(blocks.export, first, first + 1 + more))
    }

    /// How many dirty blocks there are in all.
    pub(crate) fn dirty(&self) -> u64 {
        self.dirty.len() as u64
    }

    /// The block that was not used for the longest time, which counts as used now: whoever finds that it cannot go asks
    /// for another.
    pub(crate) fn oldest(&mut self) -> Option<Blocks> {
        let (_, (export, block)) = self.order.first_key_value()?;
        let blocks = Blocks::new(*export, *block, block + 1);
        self.touch(blocks);
        Some(blocks)
    }
}

fn keys(blocks: Blocks) -> std::ops::Range<Key> {
    (blocks.export, blocks.first)..(blocks.export, blocks.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(first: u64, end: u64) -> Blocks {
        Blocks::new(7, first, end)
    }

    fn filled(blocks: std::ops::Range<u64>) -> Table {
        let mut table = Table::new(Some(100));
        for block in blocks {
            let slot = table.take(1)[0];
            table.place(7, block, slot);
        }
        table
    }

    #[test]
    fn finds_pieces_as_long_as_possible() {
        let mut table = filled(2..6);
        table.place(8, 6, 50);
        table.place(7, 6, 60);
        assert_eq!(
            table.find(blocks(0, 9)),
            [(blocks(0, 2), None), (blocks(2, 6), Some(0)), (blocks(6, 7), Some(60)), (blocks(7, 9), None)]
        );
        assert!(table.has_all(blocks(2, 7)) && !table.has_all(blocks(1, 3)) && !table.has_all(blocks(6, 8)));
    }

    #[test]
    fn hands_out_no_more_than_the_limit_and_the_lowest_first() {
        let mut table = Table::new(Some(4));
        assert_eq!(table.take(3), [0, 1, 2]);
        assert_eq!(table.take(3), [3]);
        assert!(table.take(1).is_empty());
        table.give_back(2);
        table.give_back(0);
        assert_eq!(table.used(), 2);
        assert_eq!(table.take(9), [0, 2]);
        assert_eq!(Table::new(None).take(5).len(), 5);
    }

    #[test]
    fn the_oldest_goes_first_but_not_twice() {
        let mut table = filled(0..3);
        table.touch(blocks(0, 1));
        assert_eq!(table.oldest(), Some(blocks(1, 2)));
        assert_eq!(table.oldest(), Some(blocks(2, 3)));
        assert_eq!(table.remove(blocks(0, 1), false), [0]);
        assert_eq!(table.oldest(), Some(blocks(1, 2)), "visited long ago");
        table.remove(blocks(0, 9), true);
        assert_eq!(table.oldest(), None);
        assert_eq!(table.used(), 3, "slots are given back by their owner");
    }

    #[test]
    fn knows_runs_of_dirty_blocks() {
        let mut table = filled(0..9);
        table.mark(blocks(1, 4), true);
        table.mark(blocks(6, 9), true);
        assert_eq!(table.first_dirty(blocks(0, 9), 9), Some(blocks(1, 4)));
        assert_eq!(table.first_dirty(blocks(0, 9), 2), Some(blocks(1, 3)));
        assert_eq!(table.first_dirty(blocks(2, 3), 9), Some(blocks(2, 3)));
        assert_eq!(table.first_dirty(blocks(4, 6), 9), None);
        table.mark(blocks(7, 8), false);
        assert_eq!(table.first_dirty(blocks(5, 9), 9), Some(blocks(6, 7)));
        assert_eq!(table.remove(blocks(0, 9), false), [0, 4, 5, 7], "the clean ones");
        assert_eq!((table.dirty(), table.has_all(blocks(1, 4))), (5, true));
        table.remove(blocks(0, 9), true);
        assert_eq!((table.first_dirty(blocks(0, 9), 9), table.dirty()), (None, 0));
    }
}
