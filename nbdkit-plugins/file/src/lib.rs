// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod blockdev;
mod directory;
mod disk;
mod evict;
mod extents;
mod open;
mod params;
mod source;
mod sys;
mod write;
mod zero;

use disk::FileDisk;
use nbdkit_plugin::*;
use params::{DebugFlags, Params};
use source::Source;
use std::ffi::OsStr;

/// The plugin, for the server's registry.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<FilePlugin>("file", "files, directories of files and block devices").callbacks(&[
        "dump_plugin",
        "list_exports",
        "block_size",
        "can_write",
        "is_rotational",
        "can_trim",
        "can_extents",
        "can_fua",
        "can_multi_conn",
        "can_cache",
        "pwrite",
        "flush",
        "trim",
        "zero",
        "extents",
        "cache",
    ]);

#[derive(Default)]
struct FilePlugin {
    params: Params,
    debug: DebugFlags,
    /// Set by `config_complete`.
    source: Option<Source>,
}

impl FilePlugin {
    fn source(&self) -> Result<&Source> {
        self.source.as_ref().ok_or_else(|| Error::invalid(source::MISSING))
    }
}

impl Plugin for FilePlugin {
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config(&mut self, key: &str, value: &OsStr) -> Result<Taken> {
        match key {
            "file" | "dir" | "fd" | "dirfd" if self.params.names_a_source() => {
                Err(Error::invalid("file|dir|fd|dirfd parameter can only appear once on the command line"))
            }
            // Long ago these were parameters of this plugin.
            "rdelay" | "wdelay" => {
                Err(Error::invalid(format!("{key}: add --filter=delay on the command line")))
            }
            _ => self.params.set(key, value),
        }
    }

    fn config_complete(&mut self) -> Result<()> {
        self.source = Some(Source::new(&self.params)?);
        Ok(())
    }

    fn list_exports(self: Arc<Self>, _req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        Op::blocking(move || self.source()?.list())
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        // Network file systems and devices that spin up take their time.
        Op::blocking(move || {
            let mut file = self.source()?.open(&req.export, req.read_only, req.log())?;
            file.zero_log = (self.debug.zero != 0).then(|| req.log().clone());
            Ok(Arc::new(FileDisk::new(file, &self.params, req.log(), req.pool())) as Arc<dyn Disk>)
        })
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        ["file_blksszget", "file_blkzeroout", "file_falloc_fl_punch_hole", "file_falloc_fl_zero_range"]
            .map(|key| (key, "yes".to_owned()))
            .into()
    }
}
