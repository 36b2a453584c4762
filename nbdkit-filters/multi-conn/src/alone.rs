// SPDX-License-Identifier: BSD-3-Clause
//! [`Alone`]: a connection whose flushes concern nobody else, and are left out when there is nothing to flush.

use crate::{
    exports::Export,
    modes::{Mode, Track},
};
use nbdkit_filter::*;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

pub(crate) struct Alone {
    next: Arc<dyn Disk>,
    info: Info,
    export: Arc<Export>,
    track: Track,
    /// How many writes of the group this connection has flushed.
    flushed: AtomicU64,
    /// A flush on another connection is as good: the plugin says so, or the user does.
    any_will_do: bool,
}

impl Alone {
    pub(crate) fn new(next: Arc<dyn Disk>, export: Arc<Export>, mode: Mode, track: Track) -> Alone {
        let any_will_do = track == Track::Fast || next.info().multi_conn;
        let info = next.info().with(|info| match mode {
            Mode::Disable => info.multi_conn = false,
            Mode::Unsafe => info.multi_conn = true,
            Mode::Auto | Mode::Emulate | Mode::Plugin => {}
        });
        Alone { next, info, export, track, flushed: AtomicU64::new(0), any_will_do }
    }

    /// Notes that something was written, unless it was made durable with it.
    fn change<'a>(&'a self, flags: Flags, op: Op<'a, ()>) -> Op<'a, ()> {
        match flags.fua {
            true => op,
            false => op.finally(|_| self.export.group.wrote()),
        }
    }
}

impl Layer for Alone {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.change(flags, self.next.pwrite(data, offset, flags))
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.change(flags, self.next.trim(span, flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.change(flags, self.next.zero(span, flags))
    }

    fn flush(&self) -> Op<'_, ()> {
        let flushed = if self.any_will_do { &self.export.flushed } else { &self.flushed };
        // Before: what is written meanwhile may not be flushed.
        let writes = self.export.group.writes();
        if self.track != Track::Off && flushed.load(SeqCst) == writes {
            return Op::ok(());
        }
        self.next.flush().finally(move |result| {
            if result.is_ok() {
                flushed.fetch_max(writes, SeqCst);
            }
        })
    }
}
