// SPDX-License-Identifier: BSD-3-Clause
//! Writes and trims.

use crate::{blocks::Blocks, layer::Cached, storage::Reserved, values::Mode};
use nbdkit_filter::*;

impl Cached {
    /// Writes `data`: to the cache, or through it.
    pub(crate) async fn write(&self, data: Buf, offset: u64, flags: Flags) -> Result<()> {
        let span = Span::new(offset, data.len() as u64);
        let blocks = self.export.around(span);
        let _claim = self.storage.claims.alone(blocks).await;
        self.storage.table().touch(blocks);
        let through = match self.mode {
            Mode::WriteThrough => true,
            Mode::WriteBack => flags.fua,
            Mode::Unsafe => false,
        };
        if through && let Err(error) = self.next.pwrite(data.clone(), offset, flags).await {
            // Who knows what is behind now.
            self.storage.forget(blocks, false).await;
            return Err(error);
        }
        for (run, slot) in self.storage.find(blocks) {
            let part = self.export.part(run, span);
            self.say(if through { "written through" } else { "written to the cache" }, part);
            let data = cut(&data, offset, part);
            match slot {
                Some(slot) => self.overwrite(run, slot, part, data, !through).await?,
                None if through => self.keep_written(part, &data).await,
                None => self.write_new(part, data).await?,
            }
        }
        Ok(())
    }

    /// Writes to `run`, which is in the cache from `slot` on.
    async fn overwrite(&self, run: Blocks, slot: u64, part: Span, data: Buf, dirty: bool) -> Result<()> {
        let within = part.offset - self.export.span(run).offset;
        let written = self.storage.write(slot, within, data).await;
        match written {
            Ok(()) if dirty => self.storage.table().mark(run, true),
            Ok(()) => {}
            // What is in the slot may be neither the old nor the new: better what is behind, where that is the same.
            Err(_) => self.storage.forget(run, false).await,
        }
        written
    }

    /// Puts `data`, to be written at `part`, into blocks that are not in the cache.
    async fn write_new(&self, part: Span, data: Buf) -> Result<()> {
        let mut at = part.offset;
        while at < part.end() {
            let rest = Span::new(at, part.end() - at);
            let blocks = match self.export.within(rest) {
                whole if whole.count() > 0 && self.export.span(whole).offset == at => {
                    whole.at_most(self.storage.batch())
                }
                _ => self.export.around(rest).at_most(1),
            };
            let reserved = self.reserve(blocks.count()).await;
            let some = blocks.at_most(reserved.count().max(1));
            let here = self.export.part(some, rest);
            let bytes = cut(&data, part.offset, here);
            if reserved.count() > 0 && self.compose(some, here, &bytes, &reserved).await? {
                reserved.publish(some, true);
            } else {
                // No room: then straight to the disk behind.
                self.next.pwrite(bytes, at, Flags::default()).await?;
            }
            at = here.end();
        }
        Ok(())
    }

    /// Fills `reserved` with `blocks`: as they are behind, with `bytes` at `here`. Whether that worked, as in `fetch`.
    async fn compose(
        &self,
        blocks: Blocks,
        here: Span,
        bytes: &Buf,
        reserved: &Reserved<'_>,
    ) -> Result<bool> {
        let all = self.export.span(blocks);
        if here != all && !self.fetch(blocks, reserved).await? {
            return Ok(false);
        }
        let written = reserved.write(here.offset - all.offset, bytes.clone()).await;
        Ok(written.inspect_err(|error| self.storage.complain(&self.log, error)).is_ok())
    }

    /// Keeps what was written through, as far as it is whole blocks and there is room.
    async fn keep_written(&self, part: Span, data: &Buf) {
        for some in self.export.within(part).parts(self.storage.batch()) {
            let reserved = self.reserve(some.count()).await;
            let some = some.at_most(reserved.count());
            if some.count() == 0 {
                return;
            }
            let bytes = cut(data, part.offset, self.export.span(some));
            if let Err(error) = reserved.write(0, bytes).await {
                return self.storage.complain(&self.log, &error);
            }
            reserved.publish(some, false);
        }
    }

    /// Trims `span`.
    pub(crate) async fn forget(&self, span: Span, flags: Flags) -> Result<()> {
        let blocks = self.export.around(span);
        let _claim = self.storage.claims.alone(blocks).await;
        let trimmed = self.next.trim(span, flags).await;
        // What is dirty in a block at the edge has still to be written.
        self.storage.forget(blocks, false).await;
        if trimmed.is_ok() {
            self.storage.forget(self.export.within(span), true).await;
        }
        trimmed
    }
}

/// That part of `data`, which belongs at `offset`, that belongs at `part`, which lies within.
fn cut(data: &Buf, offset: u64, part: Span) -> Buf {
    let start = (part.offset - offset) as usize;
    data.slice(start..start + part.len as usize)
}
