// SPDX-License-Identifier: BSD-3-Clause
//! [`Blocks`]: the unit of everything here: some blocks of an export, one after the other.

/// Which export.
pub(crate) type ExportId = u32;

/// Some blocks of an export, one after the other, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Blocks {
    pub(crate) export: ExportId,
    /// The first one.
    pub(crate) first: u64,
    /// The one behind the last.
    pub(crate) end: u64,
}

impl Blocks {
    pub(crate) fn new(export: ExportId, first: u64, end: u64) -> Blocks {
        Blocks { export, first, end }
    }

    pub(crate) fn count(&self) -> u64 {
        self.end - self.first
    }

    /// No more than `count` of them, from the start.
    pub(crate) fn at_most(&self, count: u64) -> Blocks {
        Blocks { end: self.end.min(self.first.saturating_add(count)), ..*self }
    }

    /// In parts of at most `count` blocks (at least one).
    pub(crate) fn parts(self, count: u64) -> impl Iterator<Item = Blocks> + Send {
        let mut rest = self;
        std::iter::from_fn(move || {
            let part = rest.at_most(count.max(1));
            rest.first = part.end;
            (part.count() > 0).then_some(part)
        })
    }

    pub(crate) fn overlaps(&self, other: &Blocks) -> bool {
        self.export == other.export && self.first < other.end && other.first < self.end
    }
}
