// SPDX-License-Identifier: BSD-3-Clause
//! The random plugin: random bytes that can be written back to be compared.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod disk;
mod noise;

use disk::RandomDisk;
use nbdkit_plugin::*;
use noise::Noise;
use std::hash::{BuildHasher, RandomState};

/// How the plugin is announced.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<Random>("random", "random bytes that can be written back to be compared")
        .callbacks(&["can_multi_conn", "can_cache", "get_ready", "pwrite", "trim", "zero"]);

params! {
    struct Params {
        /// Size of the disk.
        [magic] "size" => size: Size = Size(0),
        /// Which bytes they are: 0 to 4294967295. Another number each time the server starts, if none is given.
        "seed" => seed: Option<u32>,
        /// Changes nothing: there is one generator here, and it is fast.
        "fast" => fast: bool = false,
    }
}

#[derive(Default)]
struct Random {
    params: Params,
    /// Set by `get_ready`.
    seed: u32,
}

impl Plugin for Random {
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
        req.ready(RandomDisk::new(self.params.size.0, Noise::new(self.seed), req.read_only, req.pool()))
    }
}

#[cfg(test)]
mod tests;
