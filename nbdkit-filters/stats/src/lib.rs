// SPDX-License-Identifier: BSD-3-Clause
//! The stats filter: count operations and how long they take.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Stats>("stats", "count operations and how long they take");

/// The filter.
#[derive(Default)]
pub struct Stats;

impl Filter for Stats {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        // A layer changes some operations; one that does the same to all of them is an `Around`.
        next.open(req).layer(|next| Ok(StatsLayer { next }))
    }
}

struct StatsLayer {
    next: Arc<dyn Disk>,
}

impl Layer for StatsLayer {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next.pread(len, offset)
    }
}
