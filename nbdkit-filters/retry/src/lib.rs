// SPDX-License-Identifier: BSD-3-Clause
//! The retry filter: opens the disk again when an operation fails, and repeats the operation.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod disk;
mod patience;
mod source;

use disk::Retrying;
use nbdkit_filter::*;
use source::Source;
use std::time::Duration;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Retry>("retry", "open the disk again when an operation fails");

params! {
    pub(crate) struct Params {
        /// How often an operation that fails is tried again. 0 disables the filter.
        "retries" => retries: u32 = 5,
        /// How long to wait before the first retry.
        "retry-delay" => delay: Duration = Duration::from_secs(2),
        /// Whether each retry of an operation waits twice as long as the one before.
        "retry-exponential" => exponential: bool = true,
        /// Whether the disk can only be read once it had to be opened again.
        "retry-readonly" => read_only: bool = false,
    }
}

/// The filter.
#[derive(Default)]
pub struct Retry {
    params: Params,
}

impl Filter for Retry {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config_complete(&mut self) -> Result<()> {
        match self.params.delay.is_zero() {
            true => Err(Error::invalid("retry-delay cannot be 0, should be a delay such as 100ms")),
            false => Ok(()),
        }
    }

    fn thread_model(&self, below: ThreadModel) -> ThreadModel {
        match self.params.retries {
            0 => below,
            _ => below.min(ThreadModel::SerializeRequests),
        }
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        if self.params.retries == 0 {
            return next.open(req);
        }
        Op::wait(async move {
            let source = Source { filter: self, next, req };
            let disk = source.open_patiently().await?;
            Ok(Arc::new(Retrying::new(source, disk)) as Arc<dyn Disk>)
        })
    }
}
