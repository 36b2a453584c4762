// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod allocator;
mod disk;
mod image;
mod locked;
mod malloc;

use allocator::Allocator;
use disk::MemoryDisk;
use image::Image;
use nbdkit_plugin::*;

params! {
    struct Params {
        /// Size of the disk.
        [magic] [required "you must specify size=<SIZE> on the command line"]
        "size" => size: Required<Size>,
        /// Where the bytes are kept: `sparse` takes memory for what is written, in pages of 32 KiB; `malloc` takes all
        /// of it at the start, and with `malloc,mlock=true` keeps it from being swapped out.
        "allocator" => allocator: Allocator = Allocator::Sparse,
    }
}

#[derive(Default)]
struct Memory {
    params: Params,
    /// One for all clients.
    image: Arc<Image>,
}

/// The plugin, for the server's registry.
pub static PLUGIN: PluginEntry = PluginEntry::new::<Memory>("memory", "a disk in RAM").callbacks(&[
    "dump_plugin",
    "config",
    "config_help",
    "get_ready",
    "can_fast_zero",
    "can_fua",
    "can_multi_conn",
    "can_cache",
    "block_size",
    "pwrite",
    "flush",
    "trim",
    "zero",
    "extents",
]);

impl Plugin for Memory {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn get_ready(&mut self) -> Result<()> {
        self.image = Arc::new(Image::new(self.params.allocator, self.params.size.0)?);
        Ok(())
    }

    fn after_fork<'a>(&'a mut self, _: &'a Server) -> Op<'a, ()> {
        // A child process has the memory of its parent, but not the parent's locks on it.
        Op::now(|| self.image.lock_in_ram())
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.ready(MemoryDisk::new(self.image.clone(), self.params.size.0, &req))
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        vec![("mlock", "yes".to_owned()), ("zstd", "no".to_owned())]
    }
}

#[cfg(test)]
mod tests;
