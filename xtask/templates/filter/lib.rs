// SPDX-License-Identifier: BSD-3-Clause
//! The @name@ filter: @summary@.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<@Type@>("@name@", "@summary@");

/// The filter.
#[derive(Default)]
pub struct @Type@;

impl Filter for @Type@ {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        // A layer changes some operations; one that does the same to all of them is an `Around`.
        next.open(req).layer(|next| Ok(@Type@Layer { next }))
    }
}

struct @Type@Layer {
    next: Arc<dyn Disk>,
}

impl Layer for @Type@Layer {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next.pread(len, offset)
    }
}
