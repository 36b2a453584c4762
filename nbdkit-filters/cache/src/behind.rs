// SPDX-License-Identifier: BSD-3-Clause
//! Blocks come from the disk behind and go back to it in requests that suit it, and that suit memory.

use crate::{
    blocks::Blocks,
    layer::Cached,
    storage::{PIECE, Reserved},
};
use nbdkit_filter::*;

impl Cached {
    /// Fills `reserved` with `blocks` as they are behind; whether that worked. If the temporary file cannot be written, the
    /// operator is told, and clients can do without.
    ///
    /// # Errors
    /// That of the disk behind.
    pub(crate) async fn fetch(&self, blocks: Blocks, reserved: &Reserved<'_>) -> Result<bool> {
        let span = self.export.span(blocks);
        for part in self.requests(span) {
            // A part is no longer than PIECE.
            let data = self.next.pread(part.len as u32, part.offset).await?;
            let data = data.into_buf(&self.pool).await?;
            if let Err(error) = reserved.write(part.offset - span.offset, data).await {
                self.storage.complain(&self.log, &error);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes `blocks`, which are in the cache and claimed, to the disk behind.
    pub(crate) async fn write_back(&self, blocks: Blocks) -> Result<()> {
        for part in self.requests(self.export.span(blocks)) {
            let data = Data::from(self.collect(part).await?).into_buf(&self.pool).await?;
            self.next.pwrite(data, part.offset, Flags::default()).await?;
        }
        Ok(())
    }

    fn requests(&self, span: Span) -> impl Iterator<Item = Span> + Send + use<> {
        let most = self.next.info().block.map_or(PIECE, |block| PIECE.min(block.maximum.into())).max(1);
        let mut at = span.offset;
        std::iter::from_fn(move || {
            let part = Span::new(at, (span.end() - at).min(most));
            at = part.end();
            (part.len > 0).then_some(part)
        })
    }
}
