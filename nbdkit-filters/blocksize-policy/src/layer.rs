// SPDX-License-Identifier: BSD-3-Clause
//! [`Policed`]: a disk whose block sizes are rules.

use crate::Policy;
use nbdkit_filter::*;

pub(crate) struct Policed {
    pub(crate) next: Arc<dyn Disk>,
    pub(crate) info: Info,
    pub(crate) policy: Policy,
    /// Who writes more at once is sent away.
    pub(crate) most: Option<u32>,
    pub(crate) connection: Connection,
    pub(crate) log: Log,
}

impl Policed {
    /// Does `op`, unless the request breaks the block sizes and those are rules. Only `data` has a maximum.
    fn police<'a, T>(
        &'a self,
        operation: &str,
        data: bool,
        span: Span,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T>,
    ) -> Op<'a, T> {
        match self.offence(data, span) {
            // NBD specification, "Block size constraints": EINVAL.
            Some(offence) => {
                Op::err(Error::invalid(format!("client {operation} request rejected: {offence}")))
            }
            None => op(&*self.next),
        }
    }

    fn offence(&self, data: bool, Span { offset, len: count }: Span) -> Option<String> {
        let (Some(block), false) = (self.info.block, self.policy == Policy::Allow) else { return None };
        let (minimum, maximum) = (u64::from(block.minimum), u64::from(block.maximum));
        let at_the_end = offset.checked_add(count) == Some(self.info.size);
        let excused = self.policy == Policy::Error && at_the_end;
        if count < minimum && !excused {
            return Some(format!("count {count} is smaller than minimum size {minimum}"));
        }
        if data && count > maximum {
            return Some(format!("count {count} is larger than maximum size {maximum}"));
        }
        if !count.is_multiple_of(minimum) && !excused {
            return Some(format!("count {count} is not a multiple of minimum size {minimum}"));
        }
        if !offset.is_multiple_of(minimum) {
            return Some(format!("offset {offset} is not aligned to a multiple of minimum size {minimum}"));
        }
        None
    }
}

impl Layer for Policed {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.police("pread", true, Span::new(offset, len.into()), |next| next.pread(len, offset))
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        let span = Span::new(offset, data.len() as u64);
        if let Some(most) = self.most
            && span.len > most.into()
        {
            self.log.error(format_args!("disconnecting client due to oversize write request"));
            self.connection.abort();
            return Op::err(Error::new(
                ESHUTDOWN,
                format!(
                    "client pwrite request of {} bytes is larger than blocksize-write-disconnect={most}",
                    span.len
                ),
            ));
        }
        self.police("pwrite", true, span, |next| next.pwrite(data, offset, flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.police("zero", false, span, |next| next.zero(span, flags))
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.police("trim", false, span, |next| next.trim(span, flags))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.police("cache", false, span, |next| next.cache(span))
    }

    /// Where extents meet, clients may begin requests: so they meet at multiples of the minimum block size.
    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        let minimum = self.info.block.map_or(1, |block| u64::from(block.minimum));
        self.police("extents", false, span, move |next| {
            if minimum == 1 {
                return next.extents(span, flags);
            }
            let size = self.info.size;
            let start = span.offset - span.offset % minimum;
            let wide = Span::new(start, span.end().next_multiple_of(minimum).min(size) - start);
            next.extents(wide, flags)
                .map(move |extents| Ok(aligned(extents, minimum, size - start).skip(span.offset - start)))
        })
    }
}

/// Extents of whole blocks, of which `left` bytes are left up to the end of the disk.
struct Blocks(Extents);

impl Blocks {
    fn skip(self, mut skip: u64) -> Extents {
        let rest = self.0.into_iter().map(|extent| {
            let cut = extent.len.min(skip);
            skip -= cut;
            Extent { len: extent.len - cut, ..extent }
        });
        rest.collect()
    }
}

/// The same extents with their borders at multiples of `unit` and at the end of the disk, `left` bytes from their start.
/// A block of several kinds is a hole, or zero, only if all of it is; the rest of a block of which nothing was said is
/// data.
fn aligned(extents: Extents, unit: u64, left: u64) -> Blocks {
    let (mut out, mut mixed, mut at) = (Extents::new(), Extent::hole(0), 0u64);
    for mut extent in extents {
        extent.len = extent.len.min(left - at);
        at += extent.len;
        if mixed.len > 0 {
            let part = extent.len.min(unit - mixed.len);
            mixed = Extent {
                len: mixed.len + part,
                hole: mixed.hole && extent.hole,
                zero: mixed.zero && extent.zero,
            };
            extent.len -= part;
            if mixed.len < unit {
                continue;
            }
            out.push(mixed);
        }
        let rest = extent.len % unit;
        out.push(Extent { len: extent.len - rest, ..extent });
        mixed = Extent { len: rest, ..extent };
    }
    if mixed.len > 0 && at == left {
        out.push(mixed);
    } else if out.is_empty() {
        out.push(Extent::data(unit.min(left)));
    }
    Blocks(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const G4: u64 = 1 << 32;

    fn check(extents: &[Extent], left: u64, expected: &[Extent]) {
        let Blocks(all) = aligned(extents.iter().copied().collect(), 512, left);
        assert_eq!(all.iter().copied().collect::<Vec<_>>(), expected, "{extents:?}");
    }

    #[test]
    fn extents_of_whole_blocks() {
        let (data, hole) = (Extent::data, Extent::hole);
        let zero = |len| Extent { len, hole: false, zero: true };
        check(&[data(512), hole(1024)], G4, &[data(512), hole(1024)]);
        check(&[data(1), hole(1535)], G4, &[data(512), hole(1024)]);
        check(&[hole(513), data(511), hole(512)], G4, &[hole(512), data(512), hole(512)]);
        check(&[hole(100), zero(412), hole(512)], G4, &[zero(512), hole(512)]);
        check(&[hole(100), data(1), hole(100), zero(1000)], G4, &[data(512), zero(512)]);
        // What is said of a part of the last block, and not of the rest, is left out, unless it is the first.
        check(&[hole(512), hole(100)], G4, &[hole(512)]);
        check(&[hole(100)], G4, &[data(512)]);
        check(&[hole(100)], 300, &[data(300)]);
        // The end of the disk is the end of a block.
        check(&[data(512), hole(100)], 612, &[data(512), hole(100)]);
        check(&[hole(100)], 100, &[hole(100)]);
        check(&[data(100), hole(G4)], 612, &[data(512), hole(100)]);
        check(&[hole(G4 + 1)], 2 * G4, &[hole(G4)]);
    }
}
