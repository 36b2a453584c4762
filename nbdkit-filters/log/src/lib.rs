// SPDX-License-Identifier: BSD-3-Clause
//! The log filter: write down every operation.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Log>("log", "write down every operation");

/// The filter.
#[derive(Default)]
pub struct Log;

impl Filter for Log {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        // A layer changes some operations; one that does the same to all of them is an `Around`.
        next.open(req).layer(|next| Ok(LogLayer { next }))
    }
}

struct LogLayer {
    next: Arc<dyn Disk>,
}

impl Layer for LogLayer {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next.pread(len, offset)
    }
}
