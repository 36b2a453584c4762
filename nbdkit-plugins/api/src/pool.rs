// SPDX-License-Identifier: BSD-3-Clause
//! [`Pool`]: the buffers of one connection, used again and again.

use crate::{Buf, BufMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Buffers start at a page, so that payloads of different buffers lie alike: copies between addresses that differ
/// by a few bytes within a page are 2-4 times slower on common CPUs.
const PAGE: usize = 4096;
/// How many bytes a pool keeps for later.
const KEEP: usize = 16 << 20;
/// Classes are PAGE << 0 ..= PAGE << 13 (32 MiB); what is larger than KEEP is never kept anyway.
const CLASSES: usize = 14;

/// What a buffer is made of.
pub(crate) enum Memory {
    Pooled {
        bytes: Box<[u8]>,
        /// Where the first page starts.
        skew: usize,
        home: Weak<Shelf>,
    },
    Static(&'static [u8]),
    Owned(Box<[u8]>),
}

impl Memory {
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Memory::Pooled { bytes, skew, .. } => &bytes[*skew..],
            Memory::Static(bytes) => bytes,
            Memory::Owned(bytes) => bytes,
        }
    }

    /// `None` if the bytes are not a pool's.
    pub(crate) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        match self {
            Memory::Pooled { bytes, skew, .. } => Some(&mut bytes[*skew..]),
            _ => None,
        }
    }
}

pub(crate) struct Shelf {
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    classes: [Vec<Arc<Memory>>; CLASSES],
    bytes: usize,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Free> {
        // Nothing under this lock can panic half-way; a poisoned one is as good as any.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands out page-aligned buffers and takes them back when their last owner drops them.
///
/// One pool serves one connection: a buffer is zeroed when it is made and afterwards holds nothing but that
/// connection's own old bytes, so no client ever sees another's. Cheap to clone. Keeps at most 16 MiB.
#[derive(Clone)]
pub struct Pool(Arc<Shelf>);

impl Default for Pool {
    fn default() -> Self {
        Pool::new()
    }
}

impl Pool {
    /// An empty one: nothing is allocated until the first [`get`](Pool::get).
    pub fn new() -> Pool {
        Pool(Arc::new(Shelf { free: Mutex::default() }))
    }

    /// A buffer of `len` bytes, which hold zeroes or this connection's own old bytes.
    pub fn get(&self, len: usize) -> BufMut {
        let class = class(len);
        if class < CLASSES {
            let mut free = self.0.lock();
            // The newest is the warmest in the CPU's caches.
            if let Some(memory) = free.classes[class].pop() {
                free.bytes -= PAGE << class;
                return BufMut::new(memory, len);
            }
        }
        let capacity = if class < CLASSES { PAGE << class } else { len };
        let bytes = vec![0; capacity + PAGE].into_boxed_slice();
        let skew = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        BufMut::new(Arc::new(Memory::Pooled { bytes, skew, home: Arc::downgrade(&self.0) }), len)
    }

    /// A buffer that holds a copy of `bytes`.
    pub fn copy(&self, bytes: &[u8]) -> Buf {
        let mut buf = self.get(bytes.len());
        buf.copy_from_slice(bytes);
        buf.freeze()
    }

    /// Gives all kept buffers back to the system: for a connection that has gone idle.
    pub fn clear(&self) {
        *self.0.lock() = Free::default();
    }
}

/// The smallest class whose buffers hold `len` bytes; `>= CLASSES` if none does.
fn class(len: usize) -> usize {
    len.div_ceil(PAGE).max(1).next_power_of_two().trailing_zeros() as usize
}

/// Puts a buffer back on its shelf if this was its last owner.
pub(crate) fn go_home(slot: &mut Option<Arc<Memory>>) {
    let Some(mut memory) = slot.take() else { return };
    // Two last owners racing both see None here: then the memory is merely freed.
    let Some(Memory::Pooled { bytes, home, .. }) = Arc::get_mut(&mut memory) else { return };
    let Some(shelf) = home.upgrade() else { return };
    let class = class(bytes.len() - PAGE);
    let mut free = shelf.lock();
    if class < CLASSES && free.bytes + (PAGE << class) <= KEEP {
        free.bytes += PAGE << class;
        free.classes[class].push(memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_zeroed_and_come_back() {
        let pool = Pool::new();
        for len in [0, 4097, 16385, 262_144, 33 << 20] {
            let mut buf = pool.get(len);
            assert_eq!(buf.len(), len);
            assert!(buf.iter().all(|byte| *byte == 0));
            assert_eq!(buf.as_ptr() as usize % PAGE, 0);
            buf.fill(7);
        }
        let first = pool.get(4096);
        let address = first.as_ptr() as usize;
        drop(first.freeze().slice(1..2));
        assert_eq!(pool.get(100).as_ptr() as usize, address, "the last slice brings the buffer home");
    }

    #[test]
    fn keeps_no_more_than_its_cap() {
        let pool = Pool::new();
        let many: Vec<_> = (0..40).map(|_| pool.get(1 << 20)).collect();
        drop(many);
        assert_eq!(pool.0.lock().bytes, KEEP);
        pool.clear();
        assert_eq!(pool.0.lock().bytes, 0);
    }

    #[test]
    fn make_mut_copies_only_when_shared() {
        let pool = Pool::new();
        let buf = pool.copy(b"abc");
        let address = buf.as_ptr();
        let again = buf.make_mut(&pool).freeze();
        assert_eq!(again.as_ptr(), address);
        let other = again.clone();
        let mut changed = again.make_mut(&pool);
        changed[0] = b'x';
        assert_eq!((&*changed, &*other), (&b"xbc"[..], &b"abc"[..]));
        assert_eq!(&*Buf::from(vec![1, 2]).make_mut(&pool), [1, 2]);
    }
}
