// SPDX-License-Identifier: BSD-3-Clause
//! A range seen as runs that are allocated or not.

use std::iter::FusedIterator;

use crate::{PAGE_SIZE, SparseArray};

/// A run of bytes whose pages are all allocated, or all not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte of the run.
    pub offset: u64,
    /// Bytes in the run, at least one.
    pub len: u64,
    /// Whether the pages are in memory. If not, the run reads as zeroes.
    pub allocated: bool,
}

/// The runs of a range: see [`SparseArray::extents`].
///
/// Each run is found when asked for. If others write meanwhile, two runs of the same kind may follow each
/// other; they still cover the range without gap or overlap.
#[derive(Debug, Clone)]
pub struct Extents<'a> {
    array: &'a SparseArray,
    offset: u64,
    end: u64,
}

impl<'a> Extents<'a> {
    pub(crate) fn new(array: &'a SparseArray, offset: u64, end: u64) -> Self {
        Self { array, offset, end }
    }
}

impl Iterator for Extents<'_> {
    type Item = Extent;

    fn next(&mut self) -> Option<Extent> {
        let Self { array, offset, end } = *self;
        if offset >= end {
            return None;
        }
        // The page at the offset says what the run is; a later page of the other kind ends it. Later, so
        // that a run is never empty, even if the first page changes just now.
        let allocated = array.next(offset, end, true) == Some(offset);
        let later = (offset | (PAGE_SIZE as u64 - 1)).saturating_add(1);
        self.offset = array.next(later, end, !allocated).unwrap_or(end);
        Some(Extent { offset, len: self.offset - offset, allocated })
    }
}

impl FusedIterator for Extents<'_> {}
