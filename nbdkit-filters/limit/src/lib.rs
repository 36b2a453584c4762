// SPDX-License-Identifier: BSD-3-Clause
//! The limit filter: says here what it does.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Limit>("limit", "says here what it does");

/// The filter.
#[derive(Default)]
pub struct Limit;

impl Filter for Limit {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        // A layer changes some operations; one that does the same to all of them is an `Around`.
        next.open(req).layer(|next| Ok(LimitLayer { next }))
    }
}

struct LimitLayer {
    next: Arc<dyn Disk>,
}

impl Layer for LimitLayer {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next.pread(len, offset)
    }
}
