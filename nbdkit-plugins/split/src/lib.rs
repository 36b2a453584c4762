// SPDX-License-Identifier: BSD-3-Clause
//! The split plugin: several files, one after the other, as one disk.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod disk;
mod files;
mod holes;

use disk::SplitDisk;
use files::{Files, resolve};
use nbdkit_plugin::*;
use std::path::PathBuf;

/// How the plugin is announced.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<Split>("split", "several files, one after the other, as one disk").callbacks(&[
        "can_cache",
        "pwrite",
        "extents",
        "cache",
    ]);

params! {
    struct Params {
        /// A file that is part of the disk. Give it once for each, in the order in which they follow each other.
        [magic] "file" => files: Vec<PathBuf>,
    }
}

#[derive(Default)]
struct Split {
    params: Params,
}

impl Plugin for Split {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config_complete(&mut self) -> Result<()> {
        self.params.files = self.params.files.iter().map(|path| resolve(path)).collect::<Result<_>>()?;
        Ok(())
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        Op::blocking(move || {
            let files = Files::open(&self.params.files, req.read_only)?;
            Ok(Arc::new(SplitDisk::new(files, req.read_only)) as Arc<dyn Disk>)
        })
    }
}

#[cfg(test)]
mod tests;
