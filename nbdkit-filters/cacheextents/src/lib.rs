// SPDX-License-Identifier: BSD-3-Clause
//! The cacheextents filter: keeps the last answer about extents, and answers from that.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod known;

use known::Known;
use nbdkit_filter::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Cacheextents>("cacheextents", "keep the last answer about extents");

params! {
    struct DebugFlags {
        /// Shows what is answered from memory, what the disk behind is asked, and when its answer is forgotten.
        "cache" => cache: i32 = 0,
    }
}

/// The filter.
#[derive(Default)]
pub struct Cacheextents {
    debug: DebugFlags,
}

impl Filter for Cacheextents {
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let verbose = (self.debug.cache != 0).then(|| req.log().clone());
        next.open(req).map(|disk| match disk.info().extents {
            true => Ok(layer(Remembering { next: disk, memory: Mutex::default(), verbose })),
            false => Ok(disk),
        })
    }
}

struct Remembering {
    next: Arc<dyn Disk>,
    memory: Mutex<Memory>,
    /// Where to tell what happens, if that is wanted.
    verbose: Option<Log>,
}

#[derive(Default)]
struct Memory {
    /// Of the last answer.
    known: Option<Known>,
    /// Counts changes of the disk.
    changes: u64,
}

impl Remembering {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing under this lock panics half-way; a poisoned one is as good as any.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk has changed. That is called when a change is done, not when it begins: what is answered meanwhile may
    /// tell of the time before, and must be forgotten too.
    fn forget(&self) {
        let mut memory = self.memory();
        memory.changes += 1;
        if let (Some(_), Some(log)) = (memory.known.take(), &self.verbose) {
            log.debug(format_args!("forgotten: the disk has changed"));
        }
    }

    fn say(&self, what: &str, span: Span) {
        if let Some(log) = &self.verbose {
            log.debug(format_args!("{what}: {} bytes at offset {}", span.len, span.offset));
        }
    }
}

impl Layer for Remembering {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.next.pwrite(data, offset, flags).finally(|_| self.forget())
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.next.trim(span, flags).finally(|_| self.forget())
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.next.zero(span, flags).finally(|_| self.forget())
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        let changes = {
            let memory = self.memory();
            if let Some(extents) = memory.known.as_ref().and_then(|known| known.within(span, flags)) {
                self.say("answered from memory", span);
                return Op::ok(extents);
            }
            memory.changes
        };
        self.say("asked the disk behind", span);
        // Even if one is enough this time: the others come at the same price.
        let all = Flags { req_one: false, ..flags };
        self.next.extents(span, all).map(move |extents| {
            let known = Known::new(span.offset, extents);
            let answer = known.within(span, flags).unwrap_or_default();
            let mut memory = self.memory();
            if memory.changes == changes {
                memory.known = Some(known);
            }
            Ok(answer)
        })
    }
}
