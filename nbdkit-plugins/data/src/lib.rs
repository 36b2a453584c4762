// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod evaluate;
mod fill;
mod fuzzed;
mod layout;
mod outside;
mod parse;
mod rope;
mod syntax;
mod text;

pub use fuzzed::fuzz;

use nbdkit_plugin::*;
use nbdkit_ram_image::{Allocator, CALLBACKS, Image, RamDisk, abilities};
use outside::System;
use rope::Rope;
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// How the plugin is announced.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<DataPlugin>("data", "a disk from a description of its bytes").callbacks(CALLBACKS);

params! {
    struct Params {
        /// What is on the disk, such as `1 2 @510 0x55 0xaa`. Every parameter that is not in this list is a variable
        /// for it: with `x=...`, `$x` stands for that.
        [magic] "data" => data: Option<OsString>,
        /// What is on the disk, byte for byte.
        "raw" => raw: Option<OsString>,
        /// What is on the disk, in base64.
        "base64" => base64: Option<OsString>,
        /// Size of the disk: what is beyond it is cut off, what is missing is zero. Without it, that of the data.
        "size" => size: Option<Size>,
        /// Where the bytes are kept: `sparse` takes memory for what is there, in pages of 32 KiB; `malloc` takes all of
        /// it at the start, and with `malloc,mlock=true` keeps it from being swapped out; `zstd` takes memory for what
        /// is there, and compresses it.
        "allocator" => allocator: Allocator = Allocator::Sparse,
    }
}

params! {
    struct DebugFlags {
        /// Shows what was understood of the description.
        "AST" => ast: i32 = 0,
    }
}

#[derive(Default)]
struct DataPlugin {
    params: Params,
    debug: DebugFlags,
    startup: Option<Startup>,
    variables: BTreeMap<String, OsString>,
    /// One for all clients.
    image: Arc<Image>,
    size: u64,
}

impl Plugin for DataPlugin {
    fn startup(&mut self, startup: &Startup) {
        self.startup = Some(startup.clone());
    }

    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config(&mut self, key: &str, value: &OsStr) -> Result<Taken> {
        if ["data", "raw", "base64"].contains(&key) && self.is_given() {
            return Err(Error::invalid("raw|base64|data parameter must be specified exactly once"));
        }
        if self.params.set(key, value)? == Taken::No {
            if !is_name(key) {
                return Ok(Taken::No);
            }
            self.variables.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
        Ok(Taken::Yes)
    }

    fn config_complete(&mut self) -> Result<()> {
        if !self.is_given() {
            return Err(Error::invalid("raw|base64|data parameter was not specified"));
        }
        if let (None, Some(name)) = (&self.params.data, self.variables.keys().next()) {
            return Err(Error::invalid(format!(
                "extra parameters passed and not using data='...': {name} is a variable for data only"
            )));
        }
        Ok(())
    }

    fn get_ready(&mut self) -> Result<()> {
        let stdin = self.startup.as_ref().is_none_or(|startup| startup.stdin);
        let mut system = System { memory: fill::available_memory(), stdin };
        let rope = self.describe(&mut system)?;
        self.size = self.params.size.map_or(rope.len(), |size| size.0);
        let image = Image::new(self.params.allocator, self.size)?;
        let rope = rope.slice(0, self.size.min(rope.len()))?;
        fill::fill(&image, &rope, system.memory)?;
        self.image = Arc::new(image);
        Ok(())
    }

    fn after_fork<'a>(&'a mut self, _: &'a Server) -> Op<'a, ()> {
        Op::now(|| self.image.lock_in_ram())
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.ready(RamDisk::new(self.image.clone(), self.size, &req))
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        let mut abilities = abilities();
        abilities.insert(0, ("data_base64", "yes".to_owned()));
        abilities
    }
}

impl DataPlugin {
    fn is_given(&self) -> bool {
        let Params { data, raw, base64, .. } = &self.params;
        data.is_some() || raw.is_some() || base64.is_some()
    }

    /// What is to be on the disk.
    fn describe(&self, system: &mut System) -> Result<Rope> {
        let Params { data, raw, base64, .. } = &self.params;
        if let Some(raw) = raw {
            return Ok(Rope::bytes(raw.as_bytes().into()));
        }
        if let Some(base64) = base64 {
            let bytes = nbdkit_base64::decode(base64.as_bytes());
            return bytes.map(|bytes| Rope::bytes(bytes.into())).ok_or_else(|| {
                Error::invalid(format!("base64: {} should be base64, padded with =", base64.display()))
            });
        }
        let text = data.as_deref().unwrap_or_default().as_bytes();
        let variables = |name: &str| self.variables.get(name).cloned().or_else(|| std::env::var_os(name));
        let expression = parse::parse(text, &variables)?;
        if let (Some(startup), true) = (&self.startup, self.debug.ast != 0) {
            startup.log.debug(format_args!("{expression:?}"));
        }
        evaluate::evaluate(&expression, system)
    }
}

/// Whether a variable can be called so.
fn is_name(key: &str) -> bool {
    !key.starts_with(|c: char| c.is_ascii_digit())
        && !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests;
