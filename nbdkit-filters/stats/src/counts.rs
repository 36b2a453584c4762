// SPDX-License-Identifier: BSD-3-Clause
//! [`Counts`]: what was done so far, by kind of operation.

use nbdkit_filter::{Kind, Span};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How many kinds of operations are counted.
pub(crate) const KINDS: usize = 7;
/// Their names, in the order of the report.
pub(crate) const NAMES: [&str; KINDS] = ["read", "write", "trim", "zero", "extents", "cache", "flush"];

#[derive(Default)]
pub(crate) struct Counts {
    counters: [Counter; KINDS],
    /// Sizes and alignments are counted too.
    pub(crate) histogram: bool,
}

impl Counts {
    pub(crate) fn new(histogram: bool) -> Counts {
        Counts { histogram, ..Counts::default() }
    }

    pub(crate) fn of(&self, kind: Kind) -> Option<&Counter> {
        let [read, write, trim, zero, extents, cache, flush] = &self.counters;
        match kind {
            Kind::Read => Some(read),
            Kind::Write => Some(write),
            Kind::Trim => Some(trim),
            Kind::Zero => Some(zero),
            Kind::Extents => Some(extents),
            Kind::Cache => Some(cache),
            Kind::Flush => Some(flush),
            Kind::Finalize | Kind::Close => None,
        }
    }

    /// In the order of [`NAMES`].
    pub(crate) fn tallies(&self) -> [Tally; KINDS] {
        self.counters.each_ref().map(|counter| counter.lock(|tally| tally.clone()))
    }
}

/// Of one kind.
#[derive(Default)]
pub(crate) struct Counter(Mutex<Tally>);

impl Counter {
    pub(crate) fn count(&self, span: Span, time: Duration, histogram: bool) {
        self.lock(|tally| {
            tally.ops += 1;
            tally.bytes = tally.bytes.saturating_add(span.len);
            tally.time += time;
            if histogram && span.len > 0 {
                let size = tally.sizes.entry(span.len.ilog2()).or_default();
                size.bytes = size.bytes.saturating_add(span.len);
                *size.aligned.entry(alignment(span.offset)).or_default() += 1;
            }
        });
    }

    fn lock<T>(&self, look: impl FnOnce(&mut Tally) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Which power of two the offset is a multiple of; `None` if of all, as 0 is.
fn alignment(offset: u64) -> Option<u32> {
    (offset != 0).then(|| offset.trailing_zeros())
}

#[derive(Clone, Default)]
pub(crate) struct Tally {
    pub(crate) ops: u64,
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
    /// By the bits of their size: those of 2^n to 2^(n+1) - 1 bytes under n. At most 64.
    pub(crate) sizes: BTreeMap<u32, Sizes>,
}

/// Requests of about the same size.
#[derive(Clone, Default)]
pub(crate) struct Sizes {
    pub(crate) bytes: u64,
    /// How many there are of each alignment.
    aligned: BTreeMap<Option<u32>, u64>,
}

impl Sizes {
    pub(crate) fn ops(&self) -> u64 {
        self.aligned.values().sum()
    }

    /// How many are aligned at least so, for each alignment that occurs, the weakest first.
    pub(crate) fn aligned(&self) -> Vec<(u32, u64)> {
        let at_least = |bits: u32| {
            let enough = self.aligned.iter().filter(|(own, _)| own.is_none_or(|own| own >= bits));
            enough.map(|(_, ops)| ops).sum()
        };
        self.aligned.keys().flatten().map(|bits| (*bits, at_least(*bits))).collect()
    }
}
