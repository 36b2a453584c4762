// SPDX-License-Identifier: BSD-3-Clause
//! The rate filter: says here what it does.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Rate>("rate", "says here what it does");

/// The filter.
#[derive(Default)]
pub struct Rate;

impl Filter for Rate {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        // A layer changes some operations; one that does the same to all of them is an `Around`.
        next.open(req).layer(|next| Ok(RateLayer { next }))
    }
}

struct RateLayer {
    next: Arc<dyn Disk>,
}

impl Layer for RateLayer {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next.pread(len, offset)
    }
}
