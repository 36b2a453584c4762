// SPDX-License-Identifier: BSD-3-Clause
//! The limit filter: counts clients from the moment they connect, and sends away who is too many.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Limit>("limit", "limit how many clients are connected at once");

params! {
    struct Params {
        /// How many clients may be connected at once; 0 for any number.
        "limit" => limit: u32 = 1,
    }
}

/// The filter.
#[derive(Default)]
pub struct Limit {
    params: Params,
    connected: AtomicU32,
}

impl Filter for Limit {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn preconnect(self: Arc<Self>, next: Next, connection: Connection) -> Op<'static, ()> {
        if self.params.limit == 0 {
            return next.preconnect(connection);
        }
        match Place::take(self) {
            Some(place) => connection.hold(place),
            None => {
                return Op::err(Error::new(EACCES, "limit: too many clients connected, connection rejected"));
            }
        }
        next.preconnect(connection)
    }
}

/// One of the clients that are connected. Held by its connection, which may end before anything is opened.
struct Place(Arc<Limit>);

impl Place {
    fn take(filter: Arc<Limit>) -> Option<Place> {
        let one_more = |count| (count < filter.params.limit).then_some(count + 1);
        filter.connected.fetch_update(SeqCst, SeqCst, one_more).ok()?;
        Some(Place(filter))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, SeqCst);
    }
}
