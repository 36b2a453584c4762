// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::*;
use nbdkit_ram_image::{Allocator, CALLBACKS, Image, RamDisk, abilities};

params! {
    struct Params {
        /// Size of the disk.
        [magic] [required "you must specify size=<SIZE> on the command line"]
        "size" => size: Required<Size>,
        /// Where the bytes are kept: `sparse` takes memory for what is written, in pages of 32 KiB; `malloc` takes all
        /// of it at the start, and with `malloc,mlock=true` keeps it from being swapped out; `zstd` takes memory for
        /// what is written, and compresses it.
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
pub static PLUGIN: PluginEntry = PluginEntry::new::<Memory>("memory", "a disk in RAM").callbacks(CALLBACKS);

impl Plugin for Memory {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn get_ready(&mut self) -> Result<()> {
        self.image = Arc::new(Image::new(self.params.allocator, self.params.size.0)?);
        Ok(())
    }

    fn after_fork<'a>(&'a mut self, _: &'a Server) -> Op<'a, ()> {
        Op::now(|| self.image.lock_in_ram())
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.ready(RamDisk::new(self.image.clone(), self.params.size.0, &req))
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        abilities()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn what_is_wrong_on_the_command_line_is_named() {
        let missing = Memory::default().config_complete().unwrap_err();
        assert_eq!(missing.to_string(), "you must specify size=<SIZE> on the command line");
        let mut plugin = Memory::default();
        let unknown = plugin.config("allocator", OsStr::new("tape")).unwrap_err().to_string();
        assert!(unknown.starts_with("allocator: unknown allocator \"tape\", should be sparse"), "{unknown}");
    }
}
