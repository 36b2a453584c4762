// SPDX-License-Identifier: BSD-3-Clause
//! [`Image`]: the bytes that all clients share. Offsets and lengths are within the disk.

use crate::{allocator::Allocator, malloc::Malloc};
use nbdkit_plugin::{Data, ENOMEM, Error, Extent, Extents, Pool, Result, Run, Span};
use nbdkit_sparse_array::{PAGE_SIZE, SparseArray};

pub(crate) enum Image {
    Sparse(SparseArray),
    Malloc(Malloc),
}

/// Shorter reads are copied whole unless all of it is a hole.
const WORTH_RUNS: u64 = 2 * PAGE_SIZE as u64;
/// The most extents that are reported at once: a client that wants more asks again.
const MOST: usize = 1 << 16;

impl Default for Image {
    fn default() -> Image {
        Image::Sparse(SparseArray::new())
    }
}

impl Image {
    /// `size` bytes, all of them zero.
    ///
    /// # Errors
    /// When `malloc` cannot have that much memory, or cannot lock it.
    pub(crate) fn new(allocator: Allocator, size: u64) -> Result<Image> {
        let Allocator::Malloc { mlock } = allocator else { return Ok(Image::default()) };
        let memory = Malloc::new(size, mlock)?;
        memory.lock_in_ram()?;
        Ok(Image::Malloc(memory))
    }

    /// Keeps it from being swapped out, if that was asked for.
    pub(crate) fn lock_in_ram(&self) -> Result<()> {
        match self {
            Image::Sparse(_) => Ok(()),
            Image::Malloc(memory) => memory.lock_in_ram(),
        }
    }

    /// Whether it knows of holes.
    pub(crate) fn has_holes(&self) -> bool {
        matches!(self, Image::Sparse(_))
    }

    pub(crate) fn read(&self, span: Span, pool: &Pool) -> Data {
        let array = match self {
            Image::Sparse(array) => array,
            Image::Malloc(memory) => {
                let mut buf = pool.get(span.len as usize);
                memory.read(&mut buf, span.offset);
                return buf.freeze().into();
            }
        };
        if array.is_hole(span.offset, span.len) {
            return Data::zero(span.len);
        }
        if span.len >= WORTH_RUNS {
            return runs(array, span, pool);
        }
        let mut buf = pool.get(span.len as usize);
        array.read(&mut buf, span.offset);
        buf.freeze().into()
    }

    pub(crate) fn write(&self, data: &[u8], offset: u64) -> Result<()> {
        match self {
            Image::Malloc(memory) => memory.write(data, offset),
            Image::Sparse(array) => array.write(data, offset).map_err(|_| {
                let len = data.len();
                Error::new(ENOMEM, format!("out of memory for a write of {len} bytes at offset {offset}"))
            })?,
        }
        Ok(())
    }

    pub(crate) fn zero(&self, span: Span) {
        match self {
            Image::Sparse(array) => array.zero(span.offset, span.len),
            Image::Malloc(memory) => memory.zero(span),
        }
    }

    pub(crate) fn extents(&self, span: Span, one: bool) -> Extents {
        let Image::Sparse(array) = self else { return Extents::data(span.len) };
        let most = if one { 1 } else { MOST };
        let kind = |run: nbdkit_sparse_array::Extent| match run.allocated {
            true => Extent::data(run.len),
            false => Extent::hole(run.len),
        };
        array.extents(span.offset, span.len).take(most).map(kind).collect()
    }
}

/// One buffer for all that is allocated; holes of a page or more stay holes, shorter ones are copied.
fn runs(array: &SparseArray, span: Span, pool: &Pool) -> Data {
    let mut buf = pool.get(span.len as usize);
    // Where bytes and holes follow one another, counted from the start of the span.
    let mut parts: Vec<(bool, usize, usize)> = Vec::new();
    for extent in array.extents(span.offset, span.len) {
        let start = (extent.offset - span.offset) as usize;
        let end = start + extent.len as usize;
        let hole = !extent.allocated && extent.len >= PAGE_SIZE as u64;
        if !hole {
            array.read(&mut buf[start..end], extent.offset);
        }
        match parts.last_mut() {
            Some(last) if last.0 == hole => last.2 = end,
            _ => parts.push((hole, start, end)),
        }
    }
    let buf = buf.freeze();
    if let [(false, ..)] = parts[..] {
        return buf.into();
    }
    let run = |(hole, start, end)| match hole {
        true => Run::Zero((end - start) as u64),
        false => Run::Bytes(buf.slice(start..end)),
    };
    parts.into_iter().map(run).collect::<Vec<_>>().into()
}
