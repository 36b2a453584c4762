// SPDX-License-Identifier: BSD-3-Clause
//! Reads, and what fills the cache.

use crate::{blocks::Blocks, claims::Claim, layer::Cached};
use nbdkit_filter::*;

impl Cached {
    /// Reads `span`, from the cache as far as that has it.
    pub(crate) async fn read(&self, span: Span) -> Result<Data> {
        let (keep, blocks) = (self.on_read.is_on(), self.export.around(span));
        let mut runs = Vec::new();
        for part in blocks.parts(if keep { self.storage.batch() } else { blocks.count() }) {
            // Until the bytes are in memory nobody may change or reclaim the blocks.
            let _claim = self.claim(part, keep).await?;
            runs.extend(self.collect(self.export.part(part, span)).await?);
        }
        Ok(runs.into())
    }

    /// Takes all blocks that `span` touches into the cache.
    pub(crate) async fn keep(&self, span: Span) -> Result<()> {
        for part in self.export.around(span).parts(self.storage.batch()) {
            // It may be the whole disk, and nobody waits for it any more.
            if self.connection.is_gone() {
                return Err(Error::new(ESHUTDOWN, "the connection is closing"));
            }
            self.claim(part, true).await?;
        }
        Ok(())
    }

    /// `blocks`, to be read; if they are to be kept, as many of them as there is room for are in the cache.
    async fn claim(&self, blocks: Blocks, keep: bool) -> Result<Claim<'_>> {
        let claims = &self.storage.claims;
        let claim = claims.share(blocks).await;
        self.storage.table().touch(blocks);
        if !keep || self.storage.table().has_all(blocks) {
            return Ok(claim);
        }
        drop(claim);
        // Another reader may have fetched them meanwhile; then it does not happen twice.
        let claim = claims.alone(blocks).await;
        self.fill(blocks).await?;
        Ok(claim)
    }

    /// Fetches what is missing of `blocks`, which are claimed alone, as far as there is room for it.
    async fn fill(&self, blocks: Blocks) -> Result<()> {
        for (run, slot) in self.storage.find(blocks) {
            if slot.is_some() {
                continue;
            }
            let reserved = self.reserve(run.count()).await;
            let some = run.at_most(reserved.count());
            if some.count() == 0 {
                return Ok(());
            }
            if !self.fetch(some, &reserved).await? {
                return Ok(());
            }
            reserved.publish(some, false);
            self.say("fetched", self.export.span(some));
        }
        Ok(())
    }

    /// The bytes of `span`, whose blocks are claimed.
    pub(crate) async fn collect(&self, span: Span) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for (run, slot) in self.storage.find(self.export.around(span)) {
            let part = self.export.part(run, span);
            self.say(if slot.is_some() { "read from the cache" } else { "read from the disk behind" }, part);
            let data = match slot {
                Some(slot) => {
                    let within = Span::new(part.offset - self.export.span(run).offset, part.len);
                    Data::from(self.storage.range(slot, within)).fetch(&self.pool, |_| false).await?
                }
                // A part is no longer than what was asked for, or than a batch of blocks.
                None => self.next.pread(part.len as u32, part.offset).await?,
            };
            runs.extend(data.into_runs());
        }
        Ok(runs)
    }
}
