// SPDX-License-Identifier: BSD-3-Clause
//! The disk behind: it may want smaller requests than the cache would like.

use crate::layer::Cached;
use nbdkit_filter::*;

impl Cached {
    /// Reads `span` of the disk behind.
    pub(crate) async fn fetch(&self, span: Span) -> Result<Buf> {
        let mut data = Data::from(Vec::new());
        for part in self.requests(span) {
            // A part is no longer than a u32.
            data.append(self.next.pread(part.len as u32, part.offset).await?);
        }
        data.into_buf(&self.pool).await
    }

    /// Writes `data` to the disk behind.
    pub(crate) async fn write_behind(&self, data: Buf, offset: u64, flags: Flags) -> Result<()> {
        for part in self.requests(Span::new(offset, data.len() as u64)) {
            let start = (part.offset - offset) as usize;
            self.next.pwrite(data.slice(start..start + part.len as usize), part.offset, flags).await?;
        }
        Ok(())
    }

    fn requests(&self, span: Span) -> impl Iterator<Item = Span> + Send + use<> {
        let most = self.next.info().block.map_or(u32::MAX, |block| block.maximum).max(1);
        let mut at = span.offset;
        std::iter::from_fn(move || {
            let part = Span::new(at, (span.end() - at).min(most.into()));
            at = part.end();
            (part.len > 0).then_some(part)
        })
    }
}
