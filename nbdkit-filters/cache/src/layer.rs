// SPDX-License-Identifier: BSD-3-Clause
//! [`Cached`]: the disk as one client sees it: what the cache holds, and the disk behind.

use crate::{export::Export, storage::Storage, values::Mode};
use nbdkit_filter::*;
use nbdkit_switch::Switch;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// One open export of one connection.
pub(crate) struct Cached {
    pub(crate) next: Arc<dyn Disk>,
    pub(crate) info: Info,
    pub(crate) storage: Arc<Storage>,
    pub(crate) export: Arc<Export>,
    pub(crate) mode: Mode,
    pub(crate) on_read: Switch,
    pub(crate) pool: Pool,
    pub(crate) connection: Connection,
    pub(crate) log: Log,
    /// Whether to tell what happens.
    pub(crate) verbose: bool,
    pub(crate) gone: AtomicBool,
}

impl Layer for Cached {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        Op::wait(self.read(Span::new(offset, len.into())))
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        Op::wait(self.write(data, offset, flags))
    }

    fn flush(&self) -> Op<'_, ()> {
        match self.mode {
            Mode::Unsafe => Op::ok(()),
            Mode::WriteThrough => self.next.flush(),
            Mode::WriteBack => Op::wait(async {
                self.save().await?;
                match self.next.info().flush {
                    true => self.next.flush().await,
                    false => Ok(()),
                }
            }),
        }
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        Op::wait(self.forget(span, flags))
    }

    fn zero(&self, _: Span, _: Flags) -> Op<'_, ()> {
        // Zeroes are data like any other: `Support::Emulate` has them written.
        Op::err(Error::unsupported("zero"))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        Op::wait(self.keep(span))
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.extents_with_dirty(span, flags)
    }

    fn close(&self) -> Op<'_, ()> {
        Op::wait(async {
            // Nobody else would write it before the next client comes, and there may be none.
            let saved = match self.leave() && self.mode == Mode::WriteBack && self.next.info().write {
                true => self.save().await,
                false => Ok(()),
            };
            let closed = self.next.close().await;
            saved.and(closed)
        })
    }
}

impl Cached {
    /// Tells what happens to `span`, if that is wanted.
    pub(crate) fn say(&self, what: &str, span: Span) {
        if self.verbose {
            self.log.debug(format_args!("{what}: {} bytes at offset {}", span.len, span.offset));
        }
    }

    /// Whether the last client of the export goes with this.
    fn leave(&self) -> bool {
        !self.gone.swap(true, SeqCst) && self.export.leave()
    }
}

impl Drop for Cached {
    fn drop(&mut self) {
        self.leave();
    }
}
