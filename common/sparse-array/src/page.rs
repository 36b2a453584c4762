// SPDX-License-Identifier: BSD-3-Clause
//! One page: bytes behind a lock, or nothing; and allocation that can fail.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

/// Bytes in a page, the unit of allocation.
pub const PAGE_SIZE: usize = 32 * 1024;

/// A page that may be absent. An absent page reads as zeroes.
#[derive(Default)]
pub(crate) struct Page(RwLock<Option<Owned<Bytes>>>);

impl Page {
    /// Copies the bytes from `at` on into `buf`; both together are at most a page.
    pub(crate) fn read(&self, at: usize, buf: &mut [u8]) {
        match self.0.read().unwrap_or_else(PoisonError::into_inner).as_deref() {
            Some([Bytes(bytes)]) => buf.copy_from_slice(&bytes[at..at + buf.len()]),
            None => buf.fill(0),
        }
    }

    /// Stores `data` at `at`; both together are at most a page. Calls `added`, still under the lock, when
    /// the page was absent.
    pub(crate) fn write(&self, at: usize, data: &[u8], added: impl FnOnce()) -> Result<(), OutOfMemory> {
        let mut slot = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let [Bytes(bytes)] = match &mut *slot {
            Some(page) => &mut **page,
            None => {
                let page = slot.insert(try_new(|| Bytes([0; PAGE_SIZE]))?);
                added();
                &mut **page
            }
        };
        bytes[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }

    /// Zeroes a part of the page, `range` within it.
    pub(crate) fn zero(&self, range: Range<usize>) {
        if let Some([Bytes(bytes)]) = self.0.write().unwrap_or_else(PoisonError::into_inner).as_deref_mut() {
            bytes[range].fill(0);
        }
    }

    /// Gives the page back, after calling `removed` under the lock.
    pub(crate) fn free(&self, removed: impl FnOnce()) {
        let mut slot = self.0.write().unwrap_or_else(PoisonError::into_inner);
        removed();
        let page = slot.take();
        drop(slot); // readers need not wait for the allocator
        drop(page);
    }
}

/// Aligned by nothing but its allocator. Asking for a cache line's alignment made copies no quicker, and kept
/// glibc from using a freed page for a new one.
struct Bytes([u8; PAGE_SIZE]);

/// A box of one. An array because `Vec` alone can fail to allocate and turns into this.
pub(crate) type Owned<T> = Box<[T; 1]>;

/// `Box::new`, but running out of memory is an error.
pub(crate) fn try_new<T>(value: impl FnOnce() -> T) -> Result<Owned<T>, OutOfMemory> {
    let mut one = Vec::new();
    one.try_reserve_exact(1).map_err(|_| OutOfMemory)?;
    one.push(value());
    one.into_boxed_slice().try_into().map_err(|_| OutOfMemory) // it has one element: never fails
}

/// There is no memory, or no place in the array, for what was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory for the pages of a sparse array")
    }
}

impl Error for OutOfMemory {}
