// SPDX-License-Identifier: BSD-3-Clause
//! [`SparseArray`]: a byte array as large as a disk may be, of which RAM holds only the pages in use.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod directory;
mod extents;
mod page;

use std::fmt;
use std::mem;

use directory::{Node, Root};
pub use extents::{Extent, Extents};
pub use page::{OutOfMemory, PAGE_SIZE};

/// A sparse array of `u64::MAX` bytes, all zero at first.
///
/// It has no size of its own: the caller bounds what it serves. Every method takes `&self`; any number of
/// threads may read and write at once. A call locks one page at a time, so a read that overlaps a write
/// sees for every byte the old value or the new one, and a page either before or after the write.
#[derive(Default)]
pub struct SparseArray {
    root: Root,
}

impl SparseArray {
    /// An array of zeroes. Allocates nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fills `buf` with the bytes from `offset` on. Bytes never written, and bytes past the end of the
    /// array, are zero.
    pub fn read(&self, mut buf: &mut [u8], mut offset: u64) {
        while !buf.is_empty() {
            let place = Place::of(offset, buf.len());
            let (piece, rest) = mem::take(&mut buf).split_at_mut(place.len);
            match self.root.page(place.page) {
                Some(page) => page.read(place.at, piece),
                None => piece.fill(0),
            }
            let Some(next) = offset.checked_add(place.len as u64) else {
                return rest.fill(0);
            };
            (buf, offset) = (rest, next);
        }
    }

    /// Stores `data` at `offset`, allocating the pages it touches, also for zeroes.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] when a page cannot be allocated, or the data would reach past the end of the array
    /// (then nothing is stored). Pages before the one that failed hold the new data.
    pub fn write(&self, mut data: &[u8], mut offset: u64) -> Result<(), OutOfMemory> {
        if offset.checked_add(data.len() as u64).is_none() {
            return Err(OutOfMemory);
        }
        while !data.is_empty() {
            let place = Place::of(offset, data.len());
            let (piece, rest) = data.split_at(place.len);
            self.root.leaf_or_new(place.page)?.write(place.page, place.at, piece)?;
            data = rest;
            offset += piece.len() as u64; // the end was checked above
        }
        Ok(())
    }

    /// Makes `len` bytes from `offset` on zero. Pages wholly inside are given back to the allocator; at
    /// the edges bytes are overwritten, so a page may stay that holds only zeroes.
    ///
    /// The cost is that of the pages in use: absent ranges of any length are stepped over at once.
    pub fn zero(&self, offset: u64, len: u64) {
        let end = offset.saturating_add(len);
        let mut from = offset;
        while let Some(start) = self.next(from, end, true) {
            let page = start / PAGE_SIZE as u64;
            let at = (start % PAGE_SIZE as u64) as usize;
            let stop = usize::try_from(end - start).unwrap_or(usize::MAX).saturating_add(at).min(PAGE_SIZE);
            if at == 0 && stop == PAGE_SIZE {
                self.root.free(page);
            } else if let Some(page) = self.root.page(page) {
                page.zero(at..stop);
            }
            from = start.saturating_add((stop - at) as u64);
        }
    }

    /// Whether no page of the range is allocated, so that all of it reads as zeroes. Takes no locks.
    pub fn is_hole(&self, offset: u64, len: u64) -> bool {
        self.next(offset, offset.saturating_add(len), true).is_none()
    }

    /// The runs of the range in order: touching one another, alternately allocated and not, the first
    /// and the last cut to the range. Takes no locks, and steps over absent ranges of any length at once.
    pub fn extents(&self, offset: u64, len: u64) -> Extents<'_> {
        Extents::new(self, offset, offset.saturating_add(len))
    }

    /// How many bytes of pages are allocated: a multiple of [`PAGE_SIZE`]. Counts them by walking the
    /// directory: eight words for each 16 MiB that were ever in use.
    pub fn allocated(&self) -> u64 {
        self.root.count() * PAGE_SIZE as u64
    }

    /// The first byte of `offset..end` whose page is allocated, or is not.
    fn next(&self, offset: u64, end: u64, allocated: bool) -> Option<u64> {
        if offset >= end {
            return None;
        }
        let page = self.root.next(offset / PAGE_SIZE as u64, allocated)?;
        let start = (page * PAGE_SIZE as u64).max(offset);
        (start < end).then_some(start)
    }
}

impl fmt::Debug for SparseArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SparseArray").field("allocated", &self.allocated()).finish()
    }
}

/// The part of a range that lies in its first page.
struct Place {
    /// Number of the page.
    page: u64,
    /// Where in the page the part begins, below [`PAGE_SIZE`].
    at: usize,
    /// Its length; `at + len` is at most [`PAGE_SIZE`].
    len: usize,
}

impl Place {
    fn of(offset: u64, len: usize) -> Self {
        let at = (offset % PAGE_SIZE as u64) as usize;
        Self { page: offset / PAGE_SIZE as u64, at, len: len.min(PAGE_SIZE - at) }
    }
}
