// SPDX-License-Identifier: BSD-3-Clause
//! [`Logged`]: a disk of which every operation is written down, before and after.

use crate::{
    entry::{Entry, Phase, returned},
    journal::Journal,
};
use nbdkit_filter::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Not an [`Around`]: that does not see what an operation answers, and extents are written down.
pub(crate) struct Logged {
    pub(crate) next: Arc<dyn Disk>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) log: Log,
    /// Counts those that got as far as opening an export.
    pub(crate) connection: u64,
    pub(crate) transactions: AtomicU64,
}

impl Logged {
    fn entry(&self, action: &'static str, phase: Phase, fields: String) -> Entry {
        Entry::new(action, phase, fields).connection(self.connection)
    }

    fn write_down<'a, T: Send + 'a>(
        &'a self,
        action: &'static str,
        fields: String,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T> + Send + 'a,
    ) -> Op<'a, T> {
        self.write_down_with(action, fields, op, |_, leave| leave)
    }

    /// `tell` adds to the last line what was answered.
    fn write_down_with<'a, T: Send + 'a>(
        &'a self,
        action: &'static str,
        fields: String,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T> + Send + 'a,
        tell: impl FnOnce(&T, Entry) -> Entry + Send + 'a,
    ) -> Op<'a, T> {
        Op::wait(async move {
            let id = crate::count(&self.transactions);
            self.journal.note(&self.log, self.entry(action, Phase::Enter, fields).id(id)).await;
            let result = op(&*self.next).await;
            let leave = self.entry(action, Phase::Leave, returned(&result)).id(id);
            let leave = match &result {
                Ok(value) => tell(value, leave),
                Err(_) => leave,
            };
            self.journal.note(&self.log, leave).await;
            result
        })
    }
}

fn place(Span { offset, len }: Span) -> String {
    format!("offset={offset:#x} count={len:#x}")
}

fn bit(flag: bool) -> u8 {
    flag.into()
}

impl Layer for Logged {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let fields = place(Span::new(offset, len.into()));
        self.write_down("Read", fields, move |next| next.pread(len, offset))
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        let place = place(Span::new(offset, data.len() as u64));
        let fields = format!("{place} fua={}", bit(flags.fua));
        self.write_down("Write", fields, move |next| next.pwrite(data, offset, flags))
    }

    fn flush(&self) -> Op<'_, ()> {
        self.write_down("Flush", String::new(), |next| next.flush())
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        let fields = format!("{} fua={}", place(span), bit(flags.fua));
        self.write_down("Trim", fields, move |next| next.trim(span, flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        let Flags { fua, may_trim, fast_zero, .. } = flags;
        let fields =
            format!("{} trim={} fua={} fast={}", place(span), bit(may_trim), bit(fua), bit(fast_zero));
        self.write_down("Zero", fields, move |next| next.zero(span, flags))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.write_down("Cache", place(span), move |next| next.cache(span))
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        let fields = format!("{} req_one={}", place(span), bit(flags.req_one));
        let tell = move |extents: &Extents, leave: Entry| leave.list("extents", list(span.offset, extents));
        self.write_down_with("Extents", fields, move |next| next.extents(span, flags), tell)
    }

    fn finalize(&self) -> Op<'_, ()> {
        Op::wait(async move {
            let fields = format!("transactions={}", self.transactions.load(Relaxed));
            self.journal.note(&self.log, self.entry("Disconnect", Phase::Print, fields)).await;
            self.next.finalize().await
        })
    }
}

/// Of each extent where it begins, its length and its kind.
fn list(mut offset: u64, extents: &Extents) -> Vec<String> {
    let mut words = Vec::with_capacity(3 * extents.count());
    for extent in extents.iter() {
        let kind = match (extent.hole, extent.zero) {
            (false, false) => "\"\"",
            (true, false) => "\"hole\"",
            (false, true) => "\"zero\"",
            (true, true) => "\"hole,zero\"",
        };
        words.extend([format!("{offset:#x}"), format!("{:#x}", extent.len), kind.to_owned()]);
        offset = offset.saturating_add(extent.len);
    }
    words
}
