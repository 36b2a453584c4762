// SPDX-License-Identifier: BSD-3-Clause
//! Keeping what is read and written out of the page cache.

use crate::{
    open::OpenFile,
    sys::{WriteOut, write_out},
};
use nbdkit_plugin::{EIO, Error, Result, Span};
use rustix::fs::{Advice, fadvise};
use std::{
    collections::VecDeque,
    io,
    num::NonZeroU64,
    os::unix::fs::FileExt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many writes may be on their way to the device. One is waited for only when this many are behind it, by when
/// it has most likely arrived.
const WINDOW: usize = 8;

/// The system keeps pages in groups, which go as a whole or not at all. They are aligned and at most this long (bytes).
const GROUP: u64 = 2 << 20;

/// Writes whose pages are still in memory, oldest first.
///
/// Pages can only be dropped once they are on the device, and advice alone does not send them there fast enough
/// (measured: three quarters of a large file stay in memory). So each write is sent on its way at once, and dropped a
/// few writes later.
#[derive(Default)]
pub(crate) struct Evict(Mutex<VecDeque<Span>>);

impl Evict {
    fn window(&self) -> MutexGuard<'_, VecDeque<Span>> {
        // Nothing under this lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenFile {
    /// Fills `to` from `offset`, then drops those pages. May sleep.
    pub(crate) fn read(&self, to: &mut [u8], offset: u64) -> Result<()> {
        let len = to.len() as u64;
        self.file.read_exact_at(to, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::new(
                EIO,
                format!("{}: the file is now too short to read {len} bytes at offset {offset}", self.name),
            ),
            _ => self.failed(error, "read", len, offset),
        })?;
        self.drop_pages(Span::new(offset, len));
        Ok(())
    }

    /// Sees to it that what was written to `span` leaves memory soon. May sleep.
    ///
    /// # Errors
    /// When data cannot be written to the device: the system tells this once, so that it must be passed on.
    pub(crate) fn evict_write(&self, span: Span) -> Result<()> {
        let Some(evict) = &self.evict else { return Ok(()) };
        self.write_out(span, WriteOut::Begin)?;
        let oldest = {
            let mut window = evict.window();
            window.push_back(span);
            if window.len() > WINDOW { window.pop_front() } else { None }
        };
        oldest.map_or(Ok(()), |oldest| self.evict_now(oldest))
    }

    /// There will be no more writes. May sleep.
    ///
    /// # Errors
    /// As [`OpenFile::evict_write`].
    pub(crate) fn evict_rest(&self) -> Result<()> {
        let Some(evict) = &self.evict else { return Ok(()) };
        let rest = std::mem::take(&mut *evict.window());
        // All are tried; the first error is the one to tell.
        rest.into_iter().map(|span| self.evict_now(span)).fold(Ok(()), Result::and)
    }

    fn evict_now(&self, span: Span) -> Result<()> {
        self.write_out(span, WriteOut::Finish)?;
        self.drop_pages(span);
        Ok(())
    }

    /// Drops the pages of `span` that are not dirty, and those of its group before it: what comes after it may have
    /// been read ahead.
    fn drop_pages(&self, span: Span) {
        let start = span.offset - span.offset % GROUP;
        // Only advice: where it fails, they go when the system likes.
        let _ = fadvise(&self.file, start, NonZeroU64::new(span.end() - start), Advice::DontNeed);
    }

    fn write_out(&self, span: Span, how: WriteOut) -> Result<()> {
        write_out(&self.file, span, how).map_err(|error| self.failed(error, "write", span.len, span.offset))
    }
}
