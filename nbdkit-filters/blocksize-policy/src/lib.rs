// SPDX-License-Identifier: BSD-3-Clause
//! The blocksize-policy filter: declare and enforce other block sizes.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<BlocksizePolicy>("blocksize-policy", "declare and enforce other block sizes");

/// The filter.
#[derive(Default)]
pub struct BlocksizePolicy;

impl Filter for BlocksizePolicy {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        // A layer changes some operations; one that does the same to all of them is an `Around`.
        next.open(req).layer(|next| Ok(BlocksizePolicyLayer { next }))
    }
}

struct BlocksizePolicyLayer {
    next: Arc<dyn Disk>,
}

impl Layer for BlocksizePolicyLayer {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next.pread(len, offset)
    }
}
