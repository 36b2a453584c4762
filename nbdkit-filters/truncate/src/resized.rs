// SPDX-License-Identifier: BSD-3-Clause
//! [`Resized`]: the disk behind up to its end, then zeroes.

use nbdkit_filter::*;

/// A disk that ends before the one behind does, or goes on after it.
pub(crate) struct Resized {
    next: Arc<dyn Disk>,
    info: Info,
    /// Size of the disk behind.
    real: u64,
}

impl Resized {
    pub(crate) fn new(next: Arc<dyn Disk>, size: u64) -> Resized {
        let real = next.info().size;
        let info = next.info().with(|info| {
            info.size = size;
            // What lies behind the old end is known to be a hole, and there is nothing to zero there.
            info.extents |= size > real;
            info.fast_zero |= size > real && info.zero.works();
        });
        Resized { next, info, real }
    }

    /// The part of `span` that the disk behind has.
    fn inside(&self, span: Span) -> Span {
        Span::new(span.offset, span.len.min(self.real.saturating_sub(span.offset)))
    }

    /// Does `op` with that part, if there is one.
    fn within<'a>(&'a self, span: Span, op: impl FnOnce(&'a dyn Disk, Span) -> Op<'a, ()>) -> Op<'a, ()> {
        match self.inside(span) {
            Span { len: 0, .. } => Op::ok(()),
            inside => op(&*self.next, inside),
        }
    }
}

impl Layer for Resized {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let span = Span::new(offset, len.into());
        let tail = Data::zero(span.len - self.inside(span).len);
        match self.inside(span).len {
            inside if inside == span.len => self.next.pread(len, offset),
            0 => Op::ok(tail),
            // Less than `len`, which fits.
            inside => self.next.pread(inside as u32, offset).map(move |mut data| {
                data.append(tail);
                Ok(data)
            }),
        }
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        let span = Span::new(offset, data.len() as u64);
        let inside = self.inside(span).len as usize;
        // First, so that a write that is refused changes nothing.
        if !is_zero(&data[inside..]) {
            return Op::err(Error::new(
                ENOSPC,
                format!(
                    "write of data beyond the end of the disk behind ({}), where only zeroes fit",
                    self.real
                ),
            ));
        }
        self.within(span, |next, _| next.pwrite(data.slice(0..inside), offset, flags))
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.within(span, |next, inside| next.trim(inside, flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.within(span, |next, inside| match flags.fast_zero && !next.info().fast_zero {
            true => Op::err(Error::unsupported("fast zero")),
            false => next.zero(inside, flags),
        })
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.within(span, |next, inside| next.cache(inside))
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        let inside = self.inside(span);
        if inside.len == 0 {
            return Op::ok(Extents::hole(span.len));
        }
        let behind = match self.next.info().extents {
            true => self.next.extents(inside, flags),
            false => Op::ok(Extents::data(inside.len)),
        };
        let most = self.real.min(self.info.size).saturating_sub(span.offset);
        behind.map(move |mut extents| {
            // They may end late, but not behind either end.
            extents.truncate(most);
            if extents.len() == inside.len {
                extents.push(Extent::hole(span.len - inside.len));
            }
            Ok(extents)
        })
    }
}

/// In pieces that the compiler makes wide instructions of.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(4096).all(|piece| piece.iter().fold(0, |all, byte| all | byte) == 0)
}
