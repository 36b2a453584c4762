// SPDX-License-Identifier: BSD-3-Clause
//! The readahead filter: asks for what a sequential reader will want next.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod ahead;
mod stream;

use ahead::Ahead;
use nbdkit_filter::*;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Readahead>("readahead", "prefetch what a sequential reader will want next");

/// The filter.
#[derive(Default)]
pub struct Readahead {
    warned: AtomicBool,
}

impl Filter for Readahead {
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let (connection, log) = (req.connection.clone(), req.log().clone());
        let parallel = next.thread_model() == ThreadModel::Parallel;
        next.open(req).map(move |disk| match parallel && disk.info().cache == Support::Native {
            true => Ok(layer(Ahead::new(disk, connection, log))),
            false => {
                // Every client would get the same.
                if !self.warned.swap(true, SeqCst) {
                    log.error(format_args!(
                        "warning: underlying plugin does not support NBD_CMD_CACHE or PARALLEL thread model, \
                         so the filter won't do anything"
                    ));
                }
                Ok(disk)
            }
        })
    }
}
