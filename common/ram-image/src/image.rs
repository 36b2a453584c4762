// SPDX-License-Identifier: BSD-3-Clause
//! [`Image`]: the bytes that all clients share. Offsets and lengths are within the disk.

#[cfg(feature = "zstd")]
use crate::packed::Packed;
use crate::{Allocator, PAGE_SIZE, malloc::Malloc};
use nbdkit_plugin::{Data, ENOMEM, Error, Extent, Extents, Pool, Result, Run, Span};
use nbdkit_sparse_array::{Extent as Stretch, SparseArray};

/// The bytes of a disk, shared by all who have it open; any number of threads may use it at once. What was never
/// written is zero.
pub struct Image(Store);

enum Store {
    Sparse(SparseArray),
    Malloc(Malloc),
    #[cfg(feature = "zstd")]
    Packed(Box<Packed>),
}

/// Shorter reads are copied whole unless all of it is a hole.
const WORTH_RUNS: u64 = 2 * PAGE_SIZE as u64;
/// The most extents that are reported at once: a client that wants more asks again.
const MOST: usize = 1 << 16;

/// Empty, sparse.
impl Default for Image {
    fn default() -> Image {
        Image(Store::Sparse(SparseArray::new()))
    }
}

impl Image {
    /// `size` bytes, all of them zero.
    ///
    /// # Errors
    /// When `malloc` cannot have that much memory, or cannot lock it.
    pub fn new(allocator: Allocator, size: u64) -> Result<Image> {
        match allocator {
            Allocator::Sparse => Ok(Image::default()),
            Allocator::Malloc { mlock } => {
                let memory = Malloc::new(size, mlock)?;
                memory.lock_in_ram()?;
                Ok(Image(Store::Malloc(memory)))
            }
            #[cfg(feature = "zstd")]
            Allocator::Zstd => Ok(Image(Store::Packed(Box::default()))),
        }
    }

    /// Keeps it from being swapped out, if that was asked for. A child process has the memory of its parent, but not
    /// the parent's locks on it: to be called again after the fork.
    ///
    /// # Errors
    /// When that much may not be locked.
    pub fn lock_in_ram(&self) -> Result<()> {
        match &self.0 {
            Store::Malloc(memory) => memory.lock_in_ram(),
            _ => Ok(()),
        }
    }

    /// Stores `data` at `offset`.
    ///
    /// # Errors
    /// `ENOMEM`. Pages before the one that failed hold the new data.
    pub fn write(&self, data: &[u8], offset: u64) -> Result<()> {
        match &self.0 {
            Store::Malloc(memory) => {
                memory.write(data, offset);
                Ok(())
            }
            Store::Sparse(array) => array.write(data, offset).map_err(|_| {
                let len = data.len();
                Error::new(ENOMEM, format!("out of memory for a write of {len} bytes at offset {offset}"))
            }),
            #[cfg(feature = "zstd")]
            Store::Packed(pages) => pages.write(data, offset),
        }
    }

    /// Whether it knows of holes.
    pub(crate) fn has_holes(&self) -> bool {
        !matches!(self.0, Store::Malloc(_))
    }

    /// Whether its pages are compressed: it takes 20 to 250 us to put one in, and 1 to 70 us to get one out.
    pub(crate) fn is_packed(&self) -> bool {
        !matches!(self.0, Store::Sparse(_) | Store::Malloc(_))
    }

    pub(crate) fn read(&self, span: Span, pool: &Pool) -> Result<Data> {
        match &self.0 {
            Store::Sparse(array) => runs(array, span, pool),
            Store::Malloc(memory) => {
                let mut buf = pool.get(span.len as usize);
                memory.read(&mut buf, span.offset);
                Ok(buf.freeze().into())
            }
            #[cfg(feature = "zstd")]
            Store::Packed(pages) => runs(&**pages, span, pool),
        }
    }

    pub(crate) fn zero(&self, span: Span) -> Result<()> {
        match &self.0 {
            Store::Sparse(array) => array.zero(span.offset, span.len),
            Store::Malloc(memory) => memory.zero(span),
            #[cfg(feature = "zstd")]
            Store::Packed(pages) => pages.zero(span)?,
        }
        Ok(())
    }

    pub(crate) fn extents(&self, span: Span, one: bool) -> Extents {
        let most = if one { 1 } else { MOST };
        match &self.0 {
            Store::Sparse(array) => report(array.stretches(span).take(most)),
            Store::Malloc(_) => Extents::data(span.len),
            #[cfg(feature = "zstd")]
            Store::Packed(pages) => report(pages.stretches(span).take(most)),
        }
    }
}

/// Bytes of which pages may be absent, and then read as zeroes.
pub(crate) trait Holes {
    /// Whether no page of the span is there.
    fn is_hole(&self, span: Span) -> bool;
    /// What the span consists of, in order and without gaps. It may end early, but not before one stretch.
    fn stretches(&self, span: Span) -> impl Iterator<Item = Stretch>;
    /// Fills `buf`.
    fn read(&self, buf: &mut [u8], offset: u64) -> Result<()>;
}

impl Holes for SparseArray {
    fn is_hole(&self, span: Span) -> bool {
        self.is_hole(span.offset, span.len)
    }

    fn stretches(&self, span: Span) -> impl Iterator<Item = Stretch> {
        self.extents(span.offset, span.len)
    }

    fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.read(buf, offset);
        Ok(())
    }
}

fn report(stretches: impl Iterator<Item = Stretch>) -> Extents {
    let kind = |stretch: Stretch| match stretch.allocated {
        true => Extent::data(stretch.len),
        false => Extent::hole(stretch.len),
    };
    stretches.map(kind).collect()
}

/// One buffer for all that is allocated; holes of a page or more stay holes, shorter ones are copied.
fn runs(pages: &impl Holes, span: Span, pool: &Pool) -> Result<Data> {
    if pages.is_hole(span) {
        return Ok(Data::zero(span.len));
    }
    let mut buf = pool.get(span.len as usize);
    if span.len < WORTH_RUNS {
        pages.read(&mut buf, span.offset)?;
        return Ok(buf.freeze().into());
    }
    // Where bytes and holes follow one another, counted from the start of the span.
    let mut parts: Vec<(bool, usize, usize)> = Vec::new();
    for stretch in pages.stretches(span) {
        let start = (stretch.offset - span.offset) as usize;
        let end = start + stretch.len as usize;
        let hole = !stretch.allocated && stretch.len >= PAGE_SIZE as u64;
        if !hole {
            pages.read(&mut buf[start..end], stretch.offset)?;
        }
        match parts.last_mut() {
            Some(last) if last.0 == hole => last.2 = end,
            _ => parts.push((hole, start, end)),
        }
    }
    let buf = buf.freeze();
    if let [(false, ..)] = parts[..] {
        return Ok(buf.into());
    }
    let run = |(hole, start, end)| match hole {
        true => Run::Zero((end - start) as u64),
        false => Run::Bytes(buf.slice(start..end)),
    };
    Ok(parts.into_iter().map(run).collect::<Vec<_>>().into())
}
