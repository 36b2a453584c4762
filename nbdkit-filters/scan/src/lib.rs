// SPDX-License-Identifier: BSD-3-Clause
//! The scan filter: prefetches the whole disk while a client is there.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod clock;
mod scanned;
mod values;

use clock::Clock;
use nbdkit_filter::*;
use scanned::Scanned;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
pub use values::Step;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Scan>("scan", "prefetch the disk while clients are there");

params! {
    struct Params {
        /// Whether prefetching skips forward to stay ahead of what clients read.
        "scan-ahead" => ahead: bool = true,
        /// Whether prefetching goes on where it was when the last client left. If not, it begins anew.
        "scan-clock" => clock: bool = true,
        /// Whether prefetching begins anew when it has reached the end.
        "scan-forever" => forever: bool = false,
        /// How much is prefetched at once: a power of two, 512 to 32M.
        "scan-size" => size: Step = Step(2 << 20),
    }
}

/// The filter.
#[derive(Default)]
pub struct Scan {
    params: Params,
    clock: Arc<Clock>,
    warned: AtomicBool,
}

impl Filter for Scan {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let parallel = next.thread_model() == ThreadModel::Parallel;
        let request = req.clone();
        next.open(req).map(move |disk| {
            let missing = match disk.info().cache {
                _ if !parallel => "the PARALLEL thread model",
                Support::Native => {
                    // Others would mix up where the scan is.
                    return Ok(match request.export.is_empty() {
                        true => layer(Scanned::begin(&self, disk, &request)),
                        false => disk,
                    });
                }
                _ => "NBD_CMD_CACHE",
            };
            // Every client would get the same.
            if !self.warned.swap(true, SeqCst) {
                request.log().error(format_args!(
                    "warning: underlying plugin does not support {missing}, not scanning"
                ));
            }
            Ok(disk)
        })
    }
}
