// SPDX-License-Identifier: BSD-3-Clause
//! [`Disk`]: one open export of one connection.

use crate::{Buf, Data, Error, Extents, Info, Op};

/// What a client may ask for with an operation (NBD specification, "Command flags").
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Flags {
    /// Answer only when the data is on permanent storage.
    pub fua: bool,
    /// A zero may leave a hole (the client did not set `NBD_CMD_FLAG_NO_HOLE`).
    pub may_trim: bool,
    /// A zero that would be no faster than writing must fail with `EOPNOTSUPP`, at once.
    pub fast_zero: bool,
    /// One extent is enough.
    pub req_one: bool,
}

/// A range of a disk, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Where it starts.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
}

impl Span {
    /// `len` bytes from `offset`.
    pub fn new(offset: u64, len: u64) -> Span {
        Span { offset, len }
    }

    /// Where it ends. Spans that a disk is asked for lie within its size, so this does not overflow for them.
    pub fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// One open export of one connection.
///
/// Two methods are required; the others answer `EOPNOTSUPP`, and [`Info`] says which of them are worth calling.
/// Requests are checked against [`Info::size`] before they come here: offsets and lengths are within the disk and
/// lengths are not zero. Several operations may be under way at once, within the plugin's
/// [`ThreadModel`](crate::ThreadModel).
pub trait Disk: Send + Sync + 'static {
    /// Size, block sizes, capabilities: a plain value, made once when the disk was opened.
    fn info(&self) -> &Info;

    /// Reads `len` bytes from `offset`; the [`Data`] must be exactly that long.
    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data>;

    /// Writes all of `data` at `offset`.
    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        let _ = (data, offset, flags);
        Op::err(Error::unsupported("write"))
    }

    /// Puts on permanent storage whatever was answered before this was called.
    fn flush(&self) -> Op<'_, ()> {
        Op::err(Error::unsupported("flush"))
    }

    /// The client does not need these bytes any more: advice, which may be ignored.
    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        let _ = (span, flags);
        Op::err(Error::unsupported("trim"))
    }

    /// Makes these bytes read as zeroes. `EOPNOTSUPP` makes the server write zeroes instead (not with
    /// [`Flags::fast_zero`]).
    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        let _ = (span, flags);
        Op::err(Error::unsupported("zero"))
    }

    /// The client will read this soon: advice.
    fn cache(&self, span: Span) -> Op<'_, ()> {
        let _ = span;
        Op::err(Error::unsupported("cache"))
    }

    /// Where the holes are, from the start of `span` on: at least one extent; may end early or late.
    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        let _ = flags;
        Op::ok(Extents::data(span.len))
    }

    /// The client said goodbye properly (`NBD_CMD_DISC`); everything still works.
    fn finalize(&self) -> Op<'_, ()> {
        Op::ok(())
    }

    /// Always the last call, once; then the disk is dropped. The place to wait, which `Drop` cannot.
    fn close(&self) -> Op<'_, ()> {
        Op::ok(())
    }
}
