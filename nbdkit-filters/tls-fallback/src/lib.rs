// SPDX-License-Identifier: BSD-3-Clause
//! The tls-fallback filter: says here what it does.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<TlsFallback>("tls-fallback", "says here what it does");

/// The filter.
#[derive(Default)]
pub struct TlsFallback;

impl Filter for TlsFallback {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        // A layer changes some operations; one that does the same to all of them is an `Around`.
        next.open(req).layer(|next| Ok(TlsFallbackLayer { next }))
    }
}

struct TlsFallbackLayer {
    next: Arc<dyn Disk>,
}

impl Layer for TlsFallbackLayer {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next.pread(len, offset)
    }
}
