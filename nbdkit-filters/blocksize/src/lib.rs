// SPDX-License-Identifier: BSD-3-Clause
//! The blocksize filter: work with a disk that takes only some sizes of requests.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Blocksize>("blocksize", "work with a disk that takes only some sizes of requests");

/// The filter.
#[derive(Default)]
pub struct Blocksize;

impl Filter for Blocksize {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        // A layer changes some operations; one that does the same to all of them is an `Around`.
        next.open(req).layer(|next| Ok(BlocksizeLayer { next }))
    }
}

struct BlocksizeLayer {
    next: Arc<dyn Disk>,
}

impl Layer for BlocksizeLayer {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next.pread(len, offset)
    }
}
