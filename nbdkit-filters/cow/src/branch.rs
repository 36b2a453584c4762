// SPDX-License-Identifier: BSD-3-Clause
//! [`Branch`]: the disk as one client sees it: the one behind, with the overlay in front.

use crate::{map::State, overlay::Overlay, store::Store};
use futures_lite::future::yield_now;
use nbdkit_filter::*;
use nbdkit_switch::Switch;

/// The disk behind is copied in pieces of at most this many bytes.
const PIECE: u64 = 1 << 20;
/// How many extents are told at once.
const MOST_EXTENTS: usize = 1000;

/// One open export of one connection.
pub(crate) struct Branch {
    pub(crate) next: Arc<dyn Disk>,
    pub(crate) info: Info,
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) on_cache: bool,
    pub(crate) on_read: Switch,
    pub(crate) pool: Pool,
    pub(crate) connection: Connection,
    /// Where it is told what becomes of blocks, if anywhere.
    pub(crate) verbose: Option<Log>,
}

impl Layer for Branch {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        match self.all_of(Span::new(offset, len.into())) {
            Some(State::Untouched) if !self.on_read.is_on() => self.next.pread(len, offset),
            Some(State::Zero) => Op::ok(Data::zero(len.into())),
            Some(State::Placed(at)) => Op::ok(self.overlay.store.range(at, len.into()).into()),
            _ => Op::wait(self.read(Span::new(offset, len.into()))),
        }
    }

    fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        match self.all_of(Span::new(offset, data.len() as u64)) {
            Some(State::Placed(at)) => self.overlay.store.write(data, at),
            _ => Op::wait(self.write(data, offset)),
        }
    }

    fn flush(&self) -> Op<'_, ()> {
        // All is lost at the end of the process anyway.
        Op::ok(())
    }

    fn trim(&self, span: Span, _: Flags) -> Op<'_, ()> {
        Op::wait(self.clear(span, false))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        match flags.may_trim {
            true => Op::wait(self.clear(span, true)),
            // The client wants the space to be there: the zeroes are written then.
            false => Op::err(Error::unsupported("zero without a hole")),
        }
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        match (self.on_cache, self.all_of(span)) {
            (true, _) => Op::wait(self.keep(span)),
            (false, Some(State::Untouched)) => self.next.cache(span),
            (false, Some(_)) => Op::ok(()),
            (false, None) => Op::wait(self.cache_untouched(span)),
        }
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        match self.all_of(span) {
            Some(State::Untouched) => self.extents_behind(span, flags),
            _ => Op::wait(self.extents_of_all(span, flags)),
        }
    }
}

impl Branch {
    /// The state of the first byte of `span`, if all others are in line with it.
    fn all_of(&self, span: Span) -> Option<State> {
        let (len, state) = self.overlay.first(span);
        (len == span.len).then_some(state)
    }

    async fn read(&self, span: Span) -> Result<Data> {
        if self.on_read.is_on() {
            self.keep(span).await?;
        }
        let mut runs = Vec::new();
        for (part, state) in self.overlay.pieces(span) {
            match state {
                // A part is no longer than the read, which is no longer than a u32.
                State::Untouched => {
                    let data = self.next.pread(part.len as u32, part.offset).await?;
                    runs.extend(data.into_runs());
                }
                State::Zero => runs.push(Run::Zero(part.len)),
                State::Placed(at) => runs.push(Run::File(self.overlay.store.range(at, part.len))),
            }
        }
        Ok(runs.into())
    }

    async fn write(&self, data: Buf, offset: u64) -> Result<()> {
        let mut done = 0;
        while done < data.len() {
            let rest = data.slice(done..data.len());
            let at = offset + done as u64;
            let (len, state) = self.overlay.first(Span::new(at, rest.len() as u64));
            let run = rest.slice(0..len as usize);
            done += match state {
                State::Placed(to) => {
                    self.overlay.store.write(run, to).await?;
                    len as usize
                }
                seen => self.write_new(run, at, seen).await?,
            };
        }
        Ok(())
    }

    /// Writes to what has no place yet: whole blocks if `data` starts with one, else its part of the first block. How
    /// many bytes that were; 0 if somebody else has changed them meanwhile.
    async fn write_new(&self, data: Buf, offset: u64, seen: State) -> Result<usize> {
        let span = Span::new(offset, data.len() as u64);
        let blocks = self.overlay.whole_blocks(span);
        if blocks.len > 0 {
            self.say("written as a whole", blocks);
            let draft = self.overlay.draft(blocks)?;
            self.overlay.store.write(data.slice(0..blocks.len as usize), draft.at()).await?;
            return Ok(draft.publish(seen) as usize);
        }
        let part = self.part_of_block(span);
        let data = data.slice(0..part.len as usize);
        let written = self.adopt(part, seen, |store, at| store.write(data, at)).await?;
        Ok(written as usize)
    }

    /// Makes `span` read as zeroes. Blocks that are touched only in part and not copied yet: only if it `must`.
    async fn clear(&self, span: Span, must: bool) -> Result<()> {
        let mut at = span.offset;
        while at < span.end() {
            let rest = Span::new(at, span.end() - at);
            let (len, state) = self.overlay.first(rest);
            let run = Span::new(at, len);
            at += match state {
                State::Zero => len,
                State::Placed(place) => {
                    self.overlay.store.zero(Span::new(place, len)).await?;
                    len
                }
                State::Untouched => match (self.overlay.whole_blocks(run), self.part_of_block(run)) {
                    (blocks, _) if blocks.len > 0 => {
                        self.say("zeroes", blocks);
                        self.overlay.blank(blocks)?
                    }
                    (_, part) if must => {
                        let len = part.len;
                        self.adopt(part, state, move |store, at| store.zero(Span::new(at, len))).await?
                    }
                    (_, part) => part.len,
                },
            };
            // There may be millions of runs, and others on this thread.
            if at < span.end() {
                yield_now().await;
            }
        }
        Ok(())
    }

    /// What of `span` lies in its first block.
    fn part_of_block(&self, span: Span) -> Span {
        let end = self.overlay.block_of(span.offset).end().min(span.end());
        Span::new(span.offset, end - span.offset)
    }

    /// Gives the blocks around `part` a place, filled as they were `seen`, and lets `change` at the part's place.
    /// Answers the length of the part, or 0 if somebody else has changed the blocks meanwhile.
    async fn adopt(
        &self,
        part: Span,
        seen: State,
        change: impl FnOnce(&Store, u64) -> Op<'static, ()>,
    ) -> Result<u64> {
        let blocks = self.overlay.blocks_around(part);
        let draft = self.overlay.draft(blocks)?;
        if seen == State::Untouched {
            self.say("copied", blocks);
            self.copy(blocks, draft.at()).await?;
        }
        change(&self.overlay.store, draft.at() + (part.offset - blocks.offset)).await?;
        Ok(if draft.publish(seen) == blocks.len { part.len } else { 0 })
    }

    /// Copies `from` of the disk behind to the place `to`, which holds zeroes.
    async fn copy(&self, from: Span, to: u64) -> Result<()> {
        let most = self.next.info().block.map_or(PIECE, |block| PIECE.min(block.maximum.into()).max(1));
        let mut at = from.offset;
        while at < from.end() {
            let len = most.min(from.end() - at);
            let data = self.next.pread(len as u32, at).await?;
            if !data.runs().iter().all(|run| matches!(run, Run::Zero(_))) {
                let data = data.into_buf(&self.pool).await?;
                self.overlay.store.write(data, to + (at - from.offset)).await?;
            }
            at += len;
            if at < from.end() {
                self.wanted()?;
            }
        }
        Ok(())
    }

    /// Takes all blocks around `span` into the overlay.
    async fn keep(&self, span: Span) -> Result<()> {
        let blocks = self.overlay.blocks_around(span);
        let mut at = blocks.offset;
        while at < blocks.end() {
            let (len, state) = self.overlay.first(Span::new(at, blocks.end() - at));
            at += match state {
                State::Untouched => {
                    let some = Span::new(at, len.min(PIECE.max(self.overlay.block)));
                    self.adopt(some, state, |_, _| Op::ok(())).await?
                }
                _ => len,
            };
            if at < blocks.end() {
                self.wanted()?;
                yield_now().await;
            }
        }
        Ok(())
    }

    fn say(&self, what: &str, blocks: Span) {
        if let Some(log) = &self.verbose {
            log.debug(format_args!("{what}: {} bytes at offset {}", blocks.len, blocks.offset));
        }
    }

    /// Long work ends when nobody waits for it any more.
    fn wanted(&self) -> Result<()> {
        match self.connection.is_gone() {
            true => Err(Error::new(ESHUTDOWN, "the connection is closing")),
            false => Ok(()),
        }
    }

    async fn cache_untouched(&self, span: Span) -> Result<()> {
        let mut at = span.offset;
        while at < span.end() {
            let (len, state) = self.overlay.first(Span::new(at, span.end() - at));
            if state == State::Untouched {
                self.next.cache(Span::new(at, len)).await?;
            }
            at += len;
            yield_now().await;
        }
        Ok(())
    }

    /// Those of `span` on the disk behind, and no more: what follows may have been written.
    fn extents_behind(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        if !self.next.info().extents {
            return Op::ok(Extents::data(span.len));
        }
        self.next.extents(span, flags).map(move |mut extents| {
            extents.truncate(span.len);
            Ok(extents)
        })
    }

    async fn extents_of_all(&self, span: Span, flags: Flags) -> Result<Extents> {
        let most = if flags.req_one { 1 } else { MOST_EXTENTS };
        let (mut at, mut out) = (span.offset, Extents::new());
        while at < span.end() && out.count() <= most {
            let (len, state) = self.overlay.first(Span::new(at, span.end() - at));
            let some = match state {
                State::Untouched => self.extents_behind(Span::new(at, len), flags).await?,
                State::Zero => Extents::hole(len),
                State::Placed(place) => self.overlay.store.extents(Span::new(place, len), most),
            };
            if some.is_empty() {
                break;
            }
            at += some.len();
            some.into_iter().for_each(|extent| out.push(extent));
        }
        Ok(out)
    }
}
