// SPDX-License-Identifier: BSD-3-Clause
//! [`Storage`]: the temporary file with its slots, which all exports share.

use crate::{
    blocks::Blocks,
    claims::Claims,
    export::Export,
    table::{Piece, Table},
};
use nbdkit_filter::{Buf, Error, FileRange, Log, Result, Span};
use nbdkit_temporary_file::TemporaryFile;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering::SeqCst},
};

/// Blocks are fetched and written back in pieces of at most this many bytes.
pub(crate) const PIECE: u64 = 2 << 20;

/// How full it may become, in blocks.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Never more than this.
    pub(crate) most: u64,
    /// Above this, blocks are reclaimed ...
    pub(crate) high: u64,
    /// ... until there are no more than this.
    pub(crate) low: u64,
}

/// Blocks in a temporary file.
///
/// Who has claimed blocks may use their slots; nobody else does, and they stay where they are. To be reclaimed, a block is
/// claimed as well.
pub(crate) struct Storage {
    file: TemporaryFile,
    /// In bytes: a power of two.
    pub(crate) block: u64,
    limits: Option<Limits>,
    pub(crate) claims: Claims,
    table: Mutex<Table>,
    complained: AtomicBool,
}

impl Storage {
    pub(crate) fn new(file: TemporaryFile, block: u64, limits: Option<Limits>) -> Storage {
        let table = Table::new(limits.map(|limits| limits.most));
        Storage {
            file,
            block,
            limits,
            claims: Claims::default(),
            table: Mutex::new(table),
            complained: AtomicBool::new(false),
        }
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing under this lock panics half-way; a poisoned one is as good as any.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many blocks are worth being handled at once: not so many that a small cache would lose all others.
    pub(crate) fn batch(&self) -> u64 {
        let most = self.limits.map_or(u64::MAX, |limits| limits.most / 4);
        (PIECE / self.block).min(most).max(1)
    }

    /// Where `blocks` are.
    pub(crate) fn find(&self, blocks: Blocks) -> Vec<Piece> {
        self.table().find(blocks)
    }

    /// Whether with `more` blocks it would be so full that some have to go.
    pub(crate) fn crowded(&self, more: u64) -> bool {
        self.limits.is_some_and(|limits| self.table().used() + more > limits.high)
    }

    /// Whether with `more` blocks some would still have to go, once that has begun.
    pub(crate) fn still_crowded(&self, more: u64) -> bool {
        self.limits.is_some_and(|limits| self.table().used() + more > limits.low)
    }

    /// Room for at most `count` blocks: none if it is full.
    pub(crate) fn reserve(&self, count: u64) -> Reserved<'_> {
        Reserved { storage: self, slots: self.table().take(count) }
    }

    /// What is to be read at `within`, counted from the start of `slot`.
    pub(crate) fn range(&self, slot: u64, within: Span) -> FileRange {
        self.file.range(Span::new(slot * self.block + within.offset, within.len))
    }

    /// Writes `data` at `within`, counted from the start of `slot`.
    pub(crate) async fn write(&self, slot: u64, within: u64, data: Buf) -> Result<()> {
        self.file.write(data, slot * self.block + within).await
    }

    /// Lets go of those of `blocks` that are clean, or of all of them. The caller has claimed them alone.
    pub(crate) async fn forget(&self, blocks: Blocks, dirty_too: bool) {
        let slots = self.table().remove(blocks, dirty_too);
        for slot in slots {
            // The space of a slot that could not be discarded is used again all the same.
            let _ = self.file.discard(Span::new(slot * self.block, self.block)).await;
            self.table().give_back(slot);
        }
    }

    /// The temporary file could not be written, and so something is not cached. Clients can do without, but the
    /// operator should know; once is enough, it will not be the last time.
    pub(crate) fn complain(&self, log: &Log, error: &Error) {
        match self.complained.swap(true, SeqCst) {
            false => log.error(format_args!("not cached: {error}")),
            true => log.debug(format_args!("not cached: {error}")),
        }
    }

    /// Whether something of `export` has still to be written.
    pub(crate) fn is_dirty(&self, export: &Export) -> bool {
        self.table().first_dirty(export.all(), 1).is_some()
    }

    /// Lets go of all of `export`, which has no clients any more. Always true.
    pub(crate) fn abandon(&self, export: &Export) -> bool {
        let mut table = self.table();
        let slots = table.remove(export.all(), true);
        slots.into_iter().for_each(|slot| table.give_back(slot));
        true
    }
}

/// Slots that nobody else has, and that hold no block yet. Given back when dropped.
pub(crate) struct Reserved<'a> {
    storage: &'a Storage,
    slots: Vec<u64>,
}

impl Reserved<'_> {
    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Writes `data` at `at`, counted in bytes from the start of the first block.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub(crate) async fn write(&self, at: u64, data: Buf) -> Result<()> {
        let (block, mut done) = (self.storage.block, 0);
        while done < data.len() {
            let place = at + done as u64;
            let rest = self.slots.get((place / block) as usize..).unwrap_or_default();
            let Some(first) = rest.first() else { return Err(Error::invalid("more bytes than slots")) };
            // Slots that follow each other are written at once.
            let follow = rest.windows(2).take_while(|pair| pair[0] + 1 == pair[1]).count() as u64;
            let room = (1 + follow) * block - place % block;
            let len = (data.len() - done).min(usize::try_from(room).unwrap_or(usize::MAX));
            self.storage.write(*first, place % block, data.slice(done..done + len)).await?;
            done += len;
        }
        Ok(())
    }

    /// The slots hold `blocks` now, one each. The caller has claimed them alone.
    pub(crate) fn publish(mut self, blocks: Blocks, dirty: bool) {
        let mut table = self.storage.table();
        for (block, slot) in (blocks.first..blocks.end).zip(self.slots.drain(..)) {
            table.place(blocks.export, block, slot);
        }
        table.mark(blocks, dirty);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if !self.slots.is_empty() {
            let mut table = self.storage.table();
            self.slots.drain(..).for_each(|slot| table.give_back(slot));
        }
    }
}
