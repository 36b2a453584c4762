// SPDX-License-Identifier: BSD-3-Clause
//! [`Together`]: a connection whose flushes are those of all in its group.

use crate::{
    exports::{Export, Group},
    modes::Track,
};
use async_lock::Mutex;
use futures_util::future::join_all;
use nbdkit_filter::*;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};

/// Something was read, and may lie in a cache of this connection where the writes of others do not change it.
const READ: u8 = 1;
/// Something was written, and may lie in a cache of this connection where others do not see it.
const WROTE: u8 = 2;

/// A connection, as others in its group see it.
pub(crate) struct Member {
    disk: Arc<dyn Disk>,
    export: Arc<Export>,
    /// What was done since the last flush.
    done: AtomicU8,
    /// How many writes of the group had been answered when this connection had nothing in its caches.
    fresh: AtomicU64,
    /// Held while the disk is flushed, so that others wait for it who rely on it. True: the disk is closed.
    closed: Mutex<bool>,
}

impl Member {
    fn note(&self, what: u8) {
        // Reads come in numbers, and mostly it is noted already.
        if self.done.load(SeqCst) & what == 0 {
            self.done.fetch_or(what, SeqCst);
        }
    }

    /// Flushes, if `needed` says so of what was done and nobody has been here before us.
    async fn flush_if(&self, needed: impl Fn(u8) -> bool + Send) -> Result<()> {
        let closed = self.closed.lock().await;
        if *closed || !needed(self.done.load(SeqCst)) {
            return Ok(());
        }
        // Before: what happens meanwhile is for the next flush.
        let done = self.done.swap(0, SeqCst);
        let result = self.disk.flush().await;
        if result.is_err() {
            self.done.fetch_or(done, SeqCst);
        }
        result
    }

    /// Others have flushed what they wrote: forgets what was read before.
    async fn refresh(&self, writes: u64) -> Result<()> {
        if self.fresh.load(SeqCst) < writes {
            self.flush_if(|done| done & READ != 0).await?;
            self.fresh.fetch_max(writes, SeqCst);
        }
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        let mut closed = self.closed.lock().await;
        *closed = true;
        // Nobody can do it afterwards, and others may still ask for it.
        let flushed = match self.done.load(SeqCst) & WROTE {
            0 => Ok(()),
            _ => self.disk.flush().await,
        };
        flushed.and(self.disk.close().await)
    }
}

/// All of `flushes`, side by side; the first error.
async fn all(flushes: impl Iterator<Item = impl Future<Output = Result<()>> + Send>) -> Result<()> {
    join_all(flushes).await.into_iter().collect()
}

impl Group {
    /// Afterwards, whatever any connection has written before is durable, and seen by all.
    async fn flush(&self, track: Track) -> Result<()> {
        let writes = self.writes();
        if track == Track::Fast && self.flushed.load(SeqCst) == writes {
            return Ok(());
        }
        let members = self.members();
        let needed = move |done| track != Track::Connection || done & WROTE != 0;
        all(members.iter().map(|member| member.flush_if(needed))).await?;
        // Only now: who reads before the last write is out reads what is old.
        all(members.iter().map(|member| member.refresh(writes))).await?;
        self.flushed.fetch_max(writes, SeqCst);
        Ok(())
    }
}

pub(crate) struct Together {
    member: Arc<Member>,
    info: Info,
    track: Track,
}

impl Together {
    pub(crate) fn new(disk: Arc<dyn Disk>, export: Arc<Export>, track: Track) -> Together {
        let info = disk.info().with(|info| {
            info.multi_conn = true;
            // A flush of all is needed in any case.
            if info.fua.works() {
                info.fua = Support::Emulate;
            }
        });
        let (done, closed) = (AtomicU8::new(0), Mutex::new(false));
        let fresh = AtomicU64::new(export.group.flushed.load(SeqCst));
        let member = Arc::new(Member { disk, export, done, fresh, closed });
        member.export.group.join(&member);
        Together { member, info, track }
    }

    /// Noted before, so that who flushes meanwhile knows; and after, because they may have flushed too early.
    fn read<'a, T: Send + 'a>(&'a self, op: impl FnOnce(&'a dyn Disk) -> Op<'a, T>) -> Op<'a, T> {
        self.member.note(READ);
        op(self.next()).finally(|_| self.member.note(READ))
    }

    fn change<'a>(&'a self, op: Op<'a, ()>) -> Op<'a, ()> {
        op.finally(|_| {
            self.member.note(WROTE);
            self.member.export.group.wrote();
        })
    }
}

impl Layer for Together {
    fn next(&self) -> &dyn Disk {
        &*self.member.disk
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.read(|next| next.pread(len, offset))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.read(|next| next.cache(span))
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.change(self.next().pwrite(data, offset, flags))
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.change(self.next().trim(span, flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.change(self.next().zero(span, flags))
    }

    fn flush(&self) -> Op<'_, ()> {
        Op::wait(self.member.export.group.flush(self.track))
    }

    fn close(&self) -> Op<'_, ()> {
        Op::wait(self.member.close())
    }
}
