// SPDX-License-Identifier: BSD-3-Clause
//! [`Around`]: a layer that does the same to every operation.

use crate::{Buf, Data, Disk, Extents, Flags, Info, Op, Span};
use std::sync::Arc;

/// Which operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // named as the methods of Disk
pub enum Kind {
    Read,
    Write,
    Flush,
    Trim,
    Zero,
    Cache,
    Extents,
    Finalize,
    Close,
}

/// One operation, described. Flush, finalize and close have an empty span.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Which operation.
    pub kind: Kind,
    /// Where.
    pub span: Span,
    /// How.
    pub flags: Flags,
}

impl Call {
    fn new(kind: Kind, span: Span, flags: Flags) -> Call {
        Call { kind, span, flags }
    }

    fn bare(kind: Kind) -> Call {
        Call::new(kind, Span::new(0, 0), Flags::default())
    }
}

/// A layer that does one thing to every operation (delay, count, log, refuse ...): one method instead of nine.
pub trait Around: Send + Sync + 'static {
    /// The disk behind.
    fn next(&self) -> &dyn Disk;

    /// See [`Disk::info`].
    fn info(&self) -> &Info {
        self.next().info()
    }

    /// Does the operation by calling `op(self.next())`: now, later, or not at all.
    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T> + Send + 'a,
    ) -> Op<'a, T>;
}

/// Such a layer, seen as a disk by whoever is in front.
pub fn around(layer: impl Around) -> Arc<dyn Disk> {
    Arc::new(Every(layer))
}

struct Every<A>(A);

impl<A: Around> Disk for Every<A> {
    fn info(&self) -> &Info {
        self.0.info()
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let call = Call::new(Kind::Read, Span::new(offset, len.into()), Flags::default());
        self.0.around(call, move |next| next.pread(len, offset))
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        let call = Call::new(Kind::Write, Span::new(offset, data.len() as u64), flags);
        self.0.around(call, move |next| next.pwrite(data, offset, flags))
    }

    fn flush(&self) -> Op<'_, ()> {
        self.0.around(Call::bare(Kind::Flush), |next| next.flush())
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.0.around(Call::new(Kind::Trim, span, flags), move |next| next.trim(span, flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.0.around(Call::new(Kind::Zero, span, flags), move |next| next.zero(span, flags))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.0.around(Call::new(Kind::Cache, span, Flags::default()), move |next| next.cache(span))
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.0.around(Call::new(Kind::Extents, span, flags), move |next| next.extents(span, flags))
    }

    fn finalize(&self) -> Op<'_, ()> {
        self.0.around(Call::bare(Kind::Finalize), |next| next.finalize())
    }

    fn close(&self) -> Op<'_, ()> {
        self.0.around(Call::bare(Kind::Close), |next| next.close())
    }
}
