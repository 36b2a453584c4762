// SPDX-License-Identifier: BSD-3-Clause
//! The exitlast filter: counts who is there, and turns off the light.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Exitlast>("exitlast", "ends the server when the last client has gone");

/// The filter.
#[derive(Default)]
pub struct Exitlast {
    open: AtomicUsize,
}

impl Filter for Exitlast {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let (connection, log) = (req.connection.clone(), req.log().clone());
        next.open(req).map(move |disk| {
            self.open.fetch_add(1, SeqCst);
            let server = connection.server().clone();
            connection.hold(Present { filter: self, server, log });
            Ok(disk)
        })
    }
}

/// A client that has opened the disk. Held by the connection: a filter in front may close the disk and open it again.
struct Present {
    filter: Arc<Exitlast>,
    server: Server,
    log: Log,
}

impl Drop for Present {
    fn drop(&mut self) {
        if self.filter.open.fetch_sub(1, SeqCst) == 1 {
            self.log.debug(format_args!("the last client has gone: exiting"));
            self.server.shutdown();
        }
    }
}
