// SPDX-License-Identifier: BSD-3-Clause
//! The pattern plugin: a fixed pattern that says at which offset it is.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod disk;
mod pattern;
mod values;

use disk::PatternDisk;
use nbdkit_plugin::*;
use pattern::Pattern;
use values::{Stride, Upper};

/// How the plugin is announced.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<PatternPlugin>("pattern", "a fixed pattern that says at which offset it is")
        .callbacks(&["can_multi_conn", "can_cache", "pwrite"]);

params! {
    struct Params {
        /// Size of the disk.
        [magic] "size" => size: Size = Size(0),
        /// How far apart the offsets are: a power of 2, at least 8 bytes. Between them are zeroes.
        "stride" => stride: Stride = Stride(8),
        /// What the upper 16 bits of every offset are combined with by exclusive or: 0 to 65535, or `random` for another
        /// number each time the server starts.
        "upper" => upper: Upper = Upper(0),
    }
}

#[derive(Default)]
struct PatternPlugin {
    params: Params,
}

impl Plugin for PatternPlugin {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let Params { size, stride, upper } = &self.params;
        req.log().debug(format_args!("upper={}", upper.0));
        let pattern = Pattern { stride: stride.0, upper: upper.0 };
        req.ready(PatternDisk::new(size.0, pattern, req.read_only, req.pool()))
    }
}

#[cfg(test)]
mod tests;
