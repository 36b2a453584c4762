// SPDX-License-Identifier: BSD-3-Clause
//! [`Extents`]: which parts of a disk are data and which are holes.

/// A stretch of a disk of one kind (NBD specification, "base:allocation").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Length in bytes.
    pub len: u64,
    /// Not allocated (`NBD_STATE_HOLE`).
    pub hole: bool,
    /// Reads as zeroes (`NBD_STATE_ZERO`).
    pub zero: bool,
}

impl Extent {
    /// Allocated, contents unknown.
    pub fn data(len: u64) -> Extent {
        Extent { len, hole: false, zero: false }
    }

    /// Not allocated, reads as zeroes.
    pub fn hole(len: u64) -> Extent {
        Extent { len, hole: true, zero: true }
    }

    fn alike(&self, other: &Extent) -> bool {
        (self.hole, self.zero) == (other.hole, other.zero)
    }
}

/// Consecutive extents from the start of the span that was asked for. Neighbours of one kind are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extents(Vec<Extent>);

impl Extents {
    /// None yet.
    pub fn new() -> Extents {
        Extents::default()
    }

    /// One extent of data.
    pub fn data(len: u64) -> Extents {
        Extents(vec![Extent::data(len)])
    }

    /// One hole.
    pub fn hole(len: u64) -> Extents {
        Extents(vec![Extent::hole(len)])
    }

    /// Puts `extent` behind the others, merged with the last if they are alike. Empty ones are dropped.
    pub fn push(&mut self, extent: Extent) {
        if extent.len == 0 {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.alike(&extent) => last.len = last.len.saturating_add(extent.len),
            _ => self.0.push(extent),
        }
    }

    /// The extents, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Extent> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many bytes they describe.
    pub fn len(&self) -> u64 {
        self.0.iter().fold(0, |sum, extent| sum.saturating_add(extent.len))
    }

    /// True if they describe nothing, which a disk must not answer.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Cuts off what lies beyond `len` bytes.
    pub fn truncate(&mut self, len: u64) {
        let mut left = len;
        self.0.retain_mut(|extent| {
            extent.len = extent.len.min(left);
            left -= extent.len;
            extent.len > 0
        });
    }
}

impl FromIterator<Extent> for Extents {
    fn from_iter<I: IntoIterator<Item = Extent>>(extents: I) -> Extents {
        let mut all = Extents::new();
        extents.into_iter().for_each(|extent| all.push(extent));
        all
    }
}

impl IntoIterator for Extents {
    type Item = Extent;
    type IntoIter = std::vec::IntoIter<Extent>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_and_cuts() {
        let mut all: Extents =
            [Extent::data(1), Extent::data(2), Extent::hole(0), Extent::hole(4)].into_iter().collect();
        assert_eq!(all.iter().copied().collect::<Vec<_>>(), [Extent::data(3), Extent::hole(4)]);
        assert_eq!(all.len(), 7);
        all.truncate(5);
        assert_eq!(all.iter().copied().collect::<Vec<_>>(), [Extent::data(3), Extent::hole(2)]);
        all.truncate(3);
        assert_eq!(all, Extents::data(3));
    }
}
