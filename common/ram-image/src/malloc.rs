// SPDX-License-Identifier: BSD-3-Clause
//! [`Malloc`]: memory that is there from the start, behind one lock for each megabyte.

use crate::locked;
use nbdkit_plugin::{ENOMEM, Error, Result, Span};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Copies between buffers that start at a page are quickest.
#[derive(Clone)]
#[repr(align(4096))]
pub(crate) struct Page([u8; PAGE]);

const PAGE: usize = 4096;
/// Pages behind one lock: 1 MiB.
const SHARD: usize = 256;

/// Pages, all of them allocated and touched.
pub(crate) struct Malloc {
    size: u64,
    shards: Vec<RwLock<Vec<Page>>>,
    mlock: bool,
}

impl Malloc {
    /// `size` bytes, all of them zero; to be locked in RAM if `mlock`.
    ///
    /// # Errors
    /// `ENOMEM` when the system has not that much.
    pub(crate) fn new(size: u64, mlock: bool) -> Result<Malloc> {
        let fail = || {
            Error::new(
                ENOMEM,
                format!(
                    "allocator=malloc: not enough memory for size={size}, should be less, or allocator=sparse"
                ),
            )
        };
        // Asked for in one piece and given back: what cannot be had fails here, and not after the system has
        // given away all that it has, piece by piece.
        let whole = usize::try_from(size).map_err(|_| fail())?;
        Vec::<u8>::new().try_reserve_exact(whole).map_err(|_| fail())?;

        let pages = whole.div_ceil(PAGE);
        let mut shards = Vec::new();
        shards.try_reserve_exact(pages.div_ceil(SHARD)).map_err(|_| fail())?;
        for first in (0..pages).step_by(SHARD) {
            let count = SHARD.min(pages - first);
            let mut shard = Vec::new();
            shard.try_reserve_exact(count).map_err(|_| fail())?;
            shard.resize(count, Page([0; PAGE]));
            shards.push(RwLock::new(shard));
        }
        Ok(Malloc { size, shards, mlock })
    }

    /// Keeps it from being swapped out, if that was asked for. May be called again.
    pub(crate) fn lock_in_ram(&self) -> Result<()> {
        if !self.mlock {
            return Ok(());
        }
        self.shards.iter().try_for_each(|shard| locked::lock(&shared(shard))).map_err(|error| {
            Error::io(
                error,
                format!(
                    "allocator=malloc,mlock=true: size={} should be below the limit that `ulimit -l` shows",
                    self.size
                ),
            )
        })
    }

    pub(crate) fn read(&self, mut buf: &mut [u8], mut offset: u64) {
        while !buf.is_empty() {
            let place = Place::of(offset, buf.len());
            let (mut to, rest) = buf.split_at_mut(place.len);
            for from in place.bytes(&shared(&self.shards[place.shard])) {
                let (piece, after) = to.split_at_mut(from.len());
                piece.copy_from_slice(from);
                to = after;
            }
            (buf, offset) = (rest, offset + place.len as u64);
        }
    }

    pub(crate) fn write(&self, mut data: &[u8], mut offset: u64) {
        while !data.is_empty() {
            let place = Place::of(offset, data.len());
            let (mut from, rest) = data.split_at(place.len);
            place.change(&mut exclusive(&self.shards[place.shard]), |to| {
                let (piece, after) = from.split_at(to.len());
                to.copy_from_slice(piece);
                from = after;
            });
            (data, offset) = (rest, offset + place.len as u64);
        }
    }

    pub(crate) fn zero(&self, span: Span) {
        let mut at = span.offset;
        while at < span.end() {
            let left = usize::try_from(span.end() - at).unwrap_or(usize::MAX);
            let place = Place::of(at, left);
            place.change(&mut exclusive(&self.shards[place.shard]), |bytes| bytes.fill(0));
            at += place.len as u64;
        }
    }
}

impl Drop for Malloc {
    fn drop(&mut self) {
        if self.mlock {
            self.shards.iter().for_each(|shard| locked::unlock(&shared(shard)));
        }
    }
}

/// The part of a range that lies behind its first lock.
struct Place {
    shard: usize,
    /// Where in the shard it starts.
    at: usize,
    /// How long it is; `at + len` is at most the bytes of a shard.
    len: usize,
}

impl Place {
    fn of(offset: u64, len: usize) -> Place {
        let bytes = (SHARD * PAGE) as u64;
        let at = (offset % bytes) as usize;
        Place { shard: (offset / bytes) as usize, at, len: len.min(SHARD * PAGE - at) }
    }

    /// The pages it touches: number, first byte, end.
    fn parts(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let (start, end) = (self.at, self.at + self.len);
        (start / PAGE..end.div_ceil(PAGE))
            .map(move |page| (page, start.max(page * PAGE) % PAGE, end.min((page + 1) * PAGE) - page * PAGE))
    }

    fn bytes<'a>(&self, pages: &'a [Page]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.parts().map(|(page, start, end)| &pages[page].0[start..end])
    }

    fn change(&self, pages: &mut [Page], mut change: impl FnMut(&mut [u8])) {
        self.parts().for_each(|(page, start, end)| change(&mut pages[page].0[start..end]));
    }
}

// Nothing under these locks can stop half-way in a state that is worse than any other.

fn shared(shard: &RwLock<Vec<Page>>) -> RwLockReadGuard<'_, Vec<Page>> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn exclusive(shard: &RwLock<Vec<Page>>) -> RwLockWriteGuard<'_, Vec<Page>> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}
