// SPDX-License-Identifier: BSD-3-Clause
//! [`Layer`]: in front of a disk, passing on what it does not change.

use crate::{Buf, Data, Disk, Extents, Flags, Info, Op, Span};
use std::sync::Arc;

/// What a filter puts in front of a disk. Every method passes on by default: write only what you change.
///
/// ```
/// use nbdkit_plugin::*;
/// /// Turns every byte upside down on its way out.
/// struct Upside { next: Arc<dyn Disk>, pool: Pool }
/// impl Layer for Upside {
///     fn next(&self) -> &dyn Disk { &*self.next }
///     fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
///         self.next.pread(len, offset).and_then(|data| data.into_buf(&self.pool)).map(|buf| {
///             let mut bytes = buf.make_mut(&self.pool);
///             bytes.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
///             Ok(bytes.freeze().into())
///         })
///     }
/// }
/// ```
pub trait Layer: Send + Sync + 'static {
    /// The disk behind.
    fn next(&self) -> &dyn Disk;

    /// See [`Disk::info`].
    fn info(&self) -> &Info {
        self.next().info()
    }

    /// See [`Disk::pread`].
    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next().pread(len, offset)
    }

    /// See [`Disk::pwrite`].
    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.next().pwrite(data, offset, flags)
    }

    /// See [`Disk::flush`].
    fn flush(&self) -> Op<'_, ()> {
        self.next().flush()
    }

    /// See [`Disk::trim`].
    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.next().trim(span, flags)
    }

    /// See [`Disk::zero`].
    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.next().zero(span, flags)
    }

    /// See [`Disk::cache`].
    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.next().cache(span)
    }

    /// See [`Disk::extents`].
    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.next().extents(span, flags)
    }

    /// See [`Disk::finalize`].
    fn finalize(&self) -> Op<'_, ()> {
        self.next().finalize()
    }

    /// See [`Disk::close`].
    fn close(&self) -> Op<'_, ()> {
        self.next().close()
    }
}

/// A layer, seen as a disk by whoever is in front.
pub fn layer(layer: impl Layer) -> Arc<dyn Disk> {
    Arc::new(Layered(layer))
}

/// Private, so that `Layer` and `Disk` never mix in messages of the compiler to plugin authors, as a public
/// blanket impl would make them.
struct Layered<L>(L);

impl<L: Layer> Disk for Layered<L> {
    fn info(&self) -> &Info {
        self.0.info()
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.0.pread(len, offset)
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.0.pwrite(data, offset, flags)
    }

    fn flush(&self) -> Op<'_, ()> {
        self.0.flush()
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.0.trim(span, flags)
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.0.zero(span, flags)
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.0.cache(span)
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.0.extents(span, flags)
    }

    fn finalize(&self) -> Op<'_, ()> {
        self.0.finalize()
    }

    fn close(&self) -> Op<'_, ()> {
        self.0.close()
    }
}
