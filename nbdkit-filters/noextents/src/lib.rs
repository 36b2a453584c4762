// SPDX-License-Identifier: BSD-3-Clause
//! The noextents filter: hides where the holes of a disk are.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Noextents>("noextents", "hides where the holes are");

/// The filter.
#[derive(Default)]
pub struct Noextents;

impl Filter for Noextents {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        next.open(req).layer(|next| {
            let info = next.info().with(|info| info.extents = false);
            Ok(AllData { next, info })
        })
    }
}

struct AllData {
    next: Arc<dyn Disk>,
    info: Info,
}

impl Layer for AllData {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn extents(&self, span: Span, _: Flags) -> Op<'_, Extents> {
        Op::ok(Extents::data(span.len))
    }
}
