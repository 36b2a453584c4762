// SPDX-License-Identifier: BSD-3-Clause
//! [`Blocks`]: a disk of bytes in front of a disk of blocks.

use crate::limits::{Limits, pieces};
use async_lock::RwLock;
use nbdkit_filter::*;

pub(crate) struct Blocks {
    next: Arc<dyn Disk>,
    info: Info,
    limits: Limits,
    lock: Arc<RwLock<()>>,
    pool: Pool,
}

/// What clients are told to prefer, at least.
const PREFERRED: u32 = 4096;

impl Blocks {
    pub(crate) fn new(next: Arc<dyn Disk>, limits: Limits, lock: Arc<RwLock<()>>, pool: Pool) -> Blocks {
        let info = next.info().with(|info| {
            info.size -= info.size % limits.minblock;
            let preferred = info.block.map_or(0, |block| block.preferred);
            info.block = Some(BlockSize {
                minimum: 1,
                // At most 64k.
                preferred: preferred.max(PREFERRED).max(limits.minblock as u32),
                maximum: u32::MAX,
            });
        });
        Blocks { next, info, limits, lock, pool }
    }

    /// True if the disk behind takes the request as it is.
    fn fits(&self, span: Span, most: u64) -> bool {
        (span.offset | span.len).is_multiple_of(self.limits.minblock) && span.len <= most
    }

    /// Does something to whole blocks: at the same time as others, but not while a part of a block is changed.
    fn beside<'a>(&'a self, op: impl FnOnce() -> Op<'a, ()> + Send + 'a) -> Op<'a, ()> {
        if self.limits.minblock == 1 {
            return op();
        }
        // Nothing has begun of an answer to wait for: the lock is taken when it does.
        let Some(held) = self.lock.try_read() else {
            return Op::wait(async move {
                let _held = self.lock.read().await;
                op().await
            });
        };
        let answer = op();
        drop(held);
        match answer {
            Op::Wait(wait) => Op::wait(async move {
                let _held = self.lock.read().await;
                wait.await
            }),
            ready => ready,
        }
    }

    /// Changes `part` of a block: reads the block, lets `change` have the bytes of the part, and writes it back.
    async fn patch(&self, part: Span, flags: Flags, change: impl FnOnce(&mut [u8])) -> Result<()> {
        if part.len == 0 {
            return Ok(());
        }
        let minblock = self.limits.minblock;
        let skip = (part.offset % minblock) as usize;
        let block = part.offset - part.offset % minblock;
        let _alone = self.lock.write().await;
        // At most 64k.
        let old = self.next.pread(minblock as u32, block).await?.into_buf(&self.pool).await?;
        let mut bytes = old.make_mut(&self.pool);
        let count = bytes.len();
        match bytes.get_mut(skip..skip + part.len as usize) {
            Some(bytes) => change(bytes),
            None => {
                return Err(Error::new(
                    EIO,
                    format!("{count} bytes were read at offset {block}, should be {minblock}"),
                ));
            }
        }
        let flags = Flags { fua: flags.fua, ..Flags::default() };
        self.next.pwrite(bytes.freeze(), block, flags).await
    }

    /// Changes `span` piece by piece: the edges with `edge`, which is told where in the span its bytes are, the whole
    /// blocks, at most `most` at once, with `body`.
    async fn change<'a>(
        &'a self,
        span: Span,
        most: u64,
        flags: Flags,
        edge: impl Fn(&mut [u8], usize),
        body: impl Fn(Span, Flags) -> Op<'a, ()> + Send + Sync,
    ) -> Result<()> {
        // Where FUA is done by flushing, once is enough.
        let flush = flags.fua && self.info.fua == Support::Emulated;
        let flags = Flags { fua: flags.fua && !flush, ..flags };
        let within = |part: Span| (part.offset - span.offset) as usize;
        let [head, whole, tail] = self.limits.split(span);
        self.patch(head, flags, |bytes| edge(bytes, within(head))).await?;
        for piece in pieces(whole, most) {
            let _beside = self.lock.read().await;
            body(piece, flags).await?;
        }
        self.patch(tail, flags, |bytes| edge(bytes, within(tail))).await?;
        match flush {
            true => self.next.flush().await,
            false => Ok(()),
        }
    }
}

impl Layer for Blocks {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let span = Span::new(offset, len.into());
        let most = self.limits.maxdata;
        if self.fits(span, most) {
            return self.next.pread(len, offset);
        }
        let wide = self.limits.widen(span);
        let skip = span.offset - wide.offset;
        if wide.len <= most {
            let read = self.next.pread(wide.len as u32, wide.offset);
            return read.map(move |data| Ok(data.slice(skip, span.len)));
        }
        Op::wait(async move {
            let mut all = Data::from(Vec::new());
            for piece in pieces(wide, most) {
                all.append(self.next.pread(piece.len as u32, piece.offset).await?);
            }
            Ok(all.slice(skip, span.len))
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        let span = Span::new(offset, data.len() as u64);
        let most = self.limits.maxdata;
        if self.fits(span, most) {
            return self.beside(move || self.next.pwrite(data, offset, flags));
        }
        Op::wait(async move {
            let edge = |bytes: &mut [u8], at: usize| bytes.copy_from_slice(&data[at..at + bytes.len()]);
            let body = |piece: Span, flags| {
                let at = (piece.offset - offset) as usize;
                self.next.pwrite(data.slice(at..at + piece.len as usize), piece.offset, flags)
            };
            self.change(span, most, flags, edge, body).await
        })
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        let most = self.limits.maxlen;
        if self.fits(span, most) {
            return self.beside(move || self.next.zero(span, flags));
        }
        if flags.fast_zero {
            // Edges are written, and whether a second piece is fast would be known too late.
            return Op::err(Error::unsupported(
                "fast zero of less than whole blocks, or of too many of them,",
            ));
        }
        let edge = |bytes: &mut [u8], _| bytes.fill(0);
        Op::wait(self.change(span, most, flags, edge, move |piece, flags| self.next.zero(piece, flags)))
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        let most = self.limits.maxlen;
        // Advice: parts of blocks are left out.
        let [_, whole, _] = self.limits.split(span);
        if whole.len == 0 {
            return Op::ok(());
        }
        if whole.len <= most {
            return self.beside(move || self.next.trim(whole, flags));
        }
        let no_edge = |_: &mut [u8], _| ();
        Op::wait(self.change(whole, most, flags, no_edge, move |piece, flags| self.next.trim(piece, flags)))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        let wide = self.limits.widen(span);
        let most = self.limits.maxdata.min(self.limits.maxlen);
        if wide.len <= most {
            return self.next.cache(wide);
        }
        Op::wait(async move {
            for piece in pieces(wide, most) {
                self.next.cache(piece).await?;
            }
            Ok(())
        })
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        let wide = self.limits.widen(span);
        let skip = span.offset - wide.offset;
        // An answer may be shorter than the question. The one extent that is enough must not end before the span begins.
        let asked = Span::new(wide.offset, wide.len.min(self.limits.maxlen));
        let flags = Flags { req_one: flags.req_one && skip == 0, ..flags };
        self.next.extents(asked, flags).map(move |extents| {
            let mut extents = behind(extents, skip);
            extents.truncate(self.info.size.saturating_sub(span.offset));
            if extents.is_empty() {
                // Nothing was said of the rest of the first block.
                extents.push(Extent::data(self.limits.minblock - skip));
            }
            Ok(extents)
        })
    }
}

/// What is left of `extents` behind their first `skip` bytes.
fn behind(extents: Extents, mut skip: u64) -> Extents {
    if skip == 0 {
        return extents;
    }
    let rest = extents.into_iter().map(|extent| {
        let cut = extent.len.min(skip);
        skip -= cut;
        Extent { len: extent.len - cut, ..extent }
    });
    rest.collect()
}
