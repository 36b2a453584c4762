// SPDX-License-Identifier: BSD-3-Clause
//! The exportname filter: changes names, list and descriptions of exports.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Exportname>("exportname", "changes names, list and descriptions of exports");

/// The filter.
#[derive(Default)]
pub struct Exportname;

impl Filter for Exportname {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        // A layer changes some operations; one that does the same to all of them is an `Around`.
        next.open(req).layer(|next| Ok(ExportnameLayer { next }))
    }
}

struct ExportnameLayer {
    next: Arc<dyn Disk>,
}

impl Layer for ExportnameLayer {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next.pread(len, offset)
    }
}
