// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod params;

use nbdkit_plugin::*;
use nbdkit_script_methods::{CALLBACKS, Host, Method, Program, Scripts};
use params::Params;
use std::{collections::HashMap, ffi::OsStr, path::Path};

/// The plugin, for the server's registry.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<Host<Eval>>("eval", "a disk made by shell commands on the command line")
        .callbacks(CALLBACKS)
        .max_thread_model(ThreadModel::Parallel);

/// A script for each method.
#[derive(Default)]
struct Eval {
    params: Params,
    scripts: HashMap<String, Program>,
}

/// What is answered for methods that are not there when another one is.
const SYNTHESISED: [(&str, &str, &str); 6] = [
    ("can_write", "pwrite", ""),
    ("can_flush", "flush", ""),
    ("can_trim", "trim", ""),
    ("can_zero", "zero", ""),
    ("can_extents", "extents", ""),
    ("can_cache", "cache", "native"),
];

impl Scripts for Eval {
    fn params(&mut self) -> &mut dyn ParamSet {
        &mut self.params
    }

    fn config(&mut self, key: &str, value: &OsStr, tmpdir: &Path) -> Result<Taken> {
        if self.scripts.contains_key(key) {
            let message = format!("method {key} defined more than once on the command line");
            return Err(Error::invalid(message));
        }
        if self.params.set(key, value)? == Taken::No {
            return Ok(Taken::No);
        }
        let script = Program::save(tmpdir, key, value.as_encoded_bytes())?.by_shell();
        self.scripts.insert(key.to_owned(), script);
        Ok(Taken::Yes)
    }

    fn find(&self, method: &str) -> Method<'_> {
        if let Some(script) = self.scripts.get(method) {
            return Method::Run(script);
        }
        let known = SYNTHESISED
            .iter()
            .find(|(question, subject, _)| *question == method && self.scripts.contains_key(*subject));
        match (known, self.scripts.get("missing"), method) {
            (Some((_, _, answer)), _, _) => Method::Known(answer),
            // Those two are for scripts that come as one.
            (None, Some(script), _) if !["load", "magic_config_key"].contains(&method) => Method::Run(script),
            _ => Method::Missing,
        }
    }
}
