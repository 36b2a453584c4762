// SPDX-License-Identifier: BSD-3-Clause
//! The blocksize filter: makes requests of any size into requests that the disk behind takes.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod blocks;
mod limits;

use async_lock::RwLock;
use blocks::Blocks;
use limits::Limits;
use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Blocksize>("blocksize", "work with a disk that takes only some sizes of requests");

params! {
    pub(crate) struct Params {
        /// Requests to the disk begin and end at multiples of this: a power of two, at most 64k. Without it, what the disk
        /// asks for.
        "minblock" => minblock: Option<Size>,
        /// The most bytes that are read or written in one request. Without it, what the disk asks for, at most 64M.
        "maxdata" => maxdata: Option<Size>,
        /// The most bytes that are trimmed, zeroed, cached or asked for their status in one request. Without it, 4G less
        /// one block.
        "maxlen" => maxlen: Option<Size>,
    }
}

/// The filter.
#[derive(Default)]
pub struct Blocksize {
    params: Params,
    /// Held to write while a part of a block is changed, to read while whole blocks are: on all connections, since they
    /// share the disk.
    lock: Arc<RwLock<()>>,
}

impl Filter for Blocksize {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config_complete(&mut self) -> Result<()> {
        self.params.check()
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        next.open(req.clone()).layer(move |disk| {
            let limits = Limits::new(&self.params, disk.info().block)?;
            req.log().debug(format_args!("{limits:?}"));
            Ok(Blocks::new(disk, limits, self.lock.clone(), req.pool()))
        })
    }
}
