// SPDX-License-Identifier: BSD-3-Clause
//! [`Buf`] and [`BufMut`]: bytes of requests and replies, page-aligned, going home to their connection's pool.

use crate::pool::{Memory, Pool, go_home};
use std::{
    fmt,
    ops::{Deref, DerefMut, Range},
    sync::Arc,
};

/// The only owner of a buffer, which may write it. From [`Pool::get`].
pub struct BufMut {
    /// `None` only after `freeze` or `drop` took it.
    memory: Option<Arc<Memory>>,
    len: usize,
}

impl BufMut {
    pub(crate) fn new(memory: Arc<Memory>, len: usize) -> BufMut {
        BufMut { memory: Some(memory), len }
    }

    /// Done writing: may be shared and sliced from now on.
    pub fn freeze(mut self) -> Buf {
        Buf { memory: self.memory.take(), start: 0, len: self.len }
    }

    /// Keeps the first `len` bytes; does nothing if there are not more.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Deref for BufMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], |memory| &memory.bytes()[..self.len])
    }
}

impl DerefMut for BufMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.len;
        match self.memory.as_mut().and_then(Arc::get_mut).and_then(Memory::bytes_mut) {
            Some(bytes) => &mut bytes[..len],
            // A BufMut is made around a unique, pooled buffer and never shares it.
            None => unreachable!("BufMut has one owner and pooled memory by construction"),
        }
    }
}

impl Drop for BufMut {
    fn drop(&mut self) {
        go_home(&mut self.memory);
    }
}

/// Shared bytes: clones and slices cost a reference count.
#[derive(Clone, Default)]
pub struct Buf {
    /// `None`: no bytes.
    memory: Option<Arc<Memory>>,
    start: usize,
    len: usize,
}

impl Buf {
    /// Bytes of the program itself.
    pub fn from_static(bytes: &'static [u8]) -> Buf {
        Buf { len: bytes.len(), start: 0, memory: Some(Arc::new(Memory::Static(bytes))) }
    }

    /// The part `range` of these bytes.
    ///
    /// # Panics
    /// When `range` is not within `0..self.len()`.
    pub fn slice(&self, range: Range<usize>) -> Buf {
        assert!(range.start <= range.end && range.end <= self.len, "slice {range:?} of {} bytes", self.len);
        Buf { memory: self.memory.clone(), start: self.start + range.start, len: range.end - range.start }
    }

    /// To be changed: in place when nobody else looks at them, else a copy from `pool`.
    pub fn make_mut(mut self, pool: &Pool) -> BufMut {
        if self.start == 0 {
            if let Some(mut memory) = self.memory.take() {
                if Arc::get_mut(&mut memory).is_some_and(|memory| memory.bytes_mut().is_some()) {
                    return BufMut::new(memory, self.len);
                }
                self.memory = Some(memory);
            }
        }
        let mut copy = pool.get(self.len);
        copy.copy_from_slice(&self);
        copy
    }
}

impl From<Vec<u8>> for Buf {
    fn from(bytes: Vec<u8>) -> Buf {
        Buf { len: bytes.len(), start: 0, memory: Some(Arc::new(Memory::Owned(bytes.into()))) }
    }
}

impl Deref for Buf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], |memory| &memory.bytes()[self.start..][..self.len])
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({} bytes)", self.len)
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        go_home(&mut self.memory);
    }
}
