// SPDX-License-Identifier: BSD-3-Clause
//! The nofilter filter: passes everything on.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Nofilter>("nofilter", "changes nothing, for tests");

/// The filter.
#[derive(Default)]
pub struct Nofilter;

impl Filter for Nofilter {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        next.open(req).layer(|next| Ok(Glass { next }))
    }
}

/// A layer all the same: what is measured is what a layer costs.
struct Glass {
    next: Arc<dyn Disk>,
}

impl Layer for Glass {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }
}
