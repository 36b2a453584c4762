// SPDX-License-Identifier: BSD-3-Clause
//! The sparse-random plugin: random data between random holes.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod content;
mod disk;
mod image;
mod layout;
mod values;

use disk::SparseDisk;
use image::Image;
use nbdkit_plugin::*;
use std::hash::{BuildHasher, RandomState};
use values::{Block, Percent, RunLength};

/// How the plugin is announced.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<SparseRandom>("sparse-random", "random data between random holes").callbacks(&[
        "get_ready",
        "block_size",
        "can_multi_conn",
        "can_cache",
        "can_fua",
        "pwrite",
        "flush",
        "trim",
        "zero",
        "extents",
    ]);

params! {
    struct Params {
        /// Size of the disk.
        [magic] "size" => size: Size = Size(0),
        /// Which disk it is: 0 to 4294967295. Another number each time the server starts, if none is given.
        "seed" => seed: Option<u32>,
        /// How much of the disk is data, on average: 0 to 100.
        "percent" => percent: Percent = Percent::whole(10),
        /// How long a stretch of data is, on average.
        "runlength" => run_length: RunLength = RunLength(16 << 20),
        /// Whether all bytes of the data are random, and not only one for each block.
        "random-content" => random_content: bool = false,
        /// Data starts and ends at multiples of this: a power of 2 from 1024 to 256M.
        "blocksize" => block_size: Block = Block(4096),
    }
}

#[derive(Default)]
struct SparseRandom {
    params: Params,
    /// Set by `get_ready`.
    seed: u32,
}

impl SparseRandom {
    fn image(&self) -> Image {
        let Params { size, percent, run_length, random_content, block_size, .. } = &self.params;
        Image::new(size.0, self.seed, *percent, *run_length, *block_size, *random_content)
    }
}

impl Plugin for SparseRandom {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn get_ready(&mut self) -> Result<()> {
        // The standard library seeds its hashers from the system.
        self.seed = self.params.seed.unwrap_or_else(|| RandomState::new().hash_one(()) as u32);
        Ok(())
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.log().debug(format_args!("seed={}", self.seed));
        req.ready(SparseDisk::new(self.image(), self.params.size.0, req.read_only, req.pool()))
    }
}

#[cfg(test)]
mod tests;
