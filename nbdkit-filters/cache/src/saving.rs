// SPDX-License-Identifier: BSD-3-Clause
//! What is dirty is written to the disk behind: on a flush, at the end, and before a block is reclaimed.

use crate::{blocks::Blocks, layer::Cached, storage::Reserved};
use nbdkit_filter::*;

/// After so many failures a flush does not try the rest: the disk behind may need a minute for each.
const MOST_FAILURES: u32 = 16;
/// How many blocks that cannot go are looked at before those who need room go without.
const PATIENCE: u32 = 64;

impl Cached {
    /// Writes all dirty blocks of the export. Those that cannot be written stay dirty; the first error is told when the
    /// others were tried.
    pub(crate) async fn save(&self) -> Result<()> {
        let _one_at_a_time = self.export.flushing.lock().await;
        let (mut rest, mut result, mut failures) = (self.export.all(), Ok(()), 0);
        // Only forward: clients who keep writing must not keep it from ending.
        while failures < MOST_FAILURES
            && let Some(run) = self.first_dirty(rest)
        {
            rest.first = run.end;
            let claim = self.storage.claims.share(run).await;
            let saved = self.save_claimed(run).await;
            drop(claim);
            failures += u32::from(saved.is_err());
            result = result.and(saved);
        }
        result
    }

    fn first_dirty(&self, blocks: Blocks) -> Option<Blocks> {
        self.storage.table().first_dirty(blocks, self.storage.batch())
    }

    /// Writes what is dirty of `blocks`, which are claimed: nobody changes them meanwhile.
    async fn save_claimed(&self, blocks: Blocks) -> Result<()> {
        let mut rest = blocks;
        while let Some(run) = self.first_dirty(rest) {
            self.write_back(run).await?;
            self.storage.table().mark(run, false);
            self.say("written back", self.export.span(run));
            rest.first = run.end;
        }
        Ok(())
    }

    /// Room for at most `count` blocks, for which others are reclaimed if they have to.
    pub(crate) async fn reserve(&self, count: u64) -> Reserved<'_> {
        if self.storage.crowded(count) {
            self.reclaim(count).await;
        }
        self.storage.reserve(count)
    }

    async fn reclaim(&self, count: u64) {
        let mut patience = PATIENCE;
        while patience > 0 && self.storage.still_crowded(count) {
            let Some(block) = self.storage.table().oldest() else { return };
            // Whoever works with it has claims of their own, for which nobody may wait who has some.
            let gone = match self.storage.claims.try_alone(block) {
                Some(_claim) => self.let_go(block).await,
                None => Ok(false),
            };
            match gone {
                Ok(gone) => patience -= u32::from(!gone),
                Err(error) => {
                    // The others would hardly fare better, and somebody waits.
                    let offset = self.export.span(block).offset;
                    return self
                        .log
                        .error(format_args!("dirty block at offset {offset} has to stay: {error}"));
                }
            }
        }
    }

    /// Takes `block`, which is claimed alone, out of the cache; unless it is dirty and cannot be written from here.
    async fn let_go(&self, block: Blocks) -> Result<bool> {
        if self.storage.table().first_dirty(block, 1).is_some() {
            if block.export != self.export.id || !self.next.info().write {
                return Ok(false);
            }
            self.save_claimed(block).await?;
        }
        self.storage.forget(block, false).await;
        let what = if block.export == self.export.id { "reclaimed" } else { "reclaimed from another export" };
        self.say(what, Span::new(block.first * self.storage.block, self.storage.block));
        Ok(true)
    }
}
