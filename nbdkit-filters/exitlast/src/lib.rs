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
        let server = req.connection.server().clone();
        let log = req.log().clone();
        next.open(req).layer(move |next| {
            self.open.fetch_add(1, SeqCst);
            Ok(Present { next, filter: self, server, log })
        })
    }
}

/// A client that has opened the disk.
struct Present {
    next: Arc<dyn Disk>,
    filter: Arc<Exitlast>,
    server: Server,
    log: Log,
}

impl Layer for Present {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }
}

/// Not in `close`: a disk is dropped after it is closed, and also when a filter in front fails to open it.
impl Drop for Present {
    fn drop(&mut self) {
        if self.filter.open.fetch_sub(1, SeqCst) == 1 {
            self.log.debug(format_args!("the last client has gone: exiting"));
            self.server.shutdown();
        }
    }
}
