// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::*;
use nbdkit_script_methods::{CALLBACKS, Host, Method, Program, Scripts};
use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

/// The plugin, for the server's registry.
pub static PLUGIN: PluginEntry = PluginEntry::new::<Host<Sh>>("sh", "a disk made by a script")
    .callbacks(CALLBACKS)
    .max_thread_model(ThreadModel::Parallel);

params! {
    struct Params {
        /// The script, or - to read it from standard input. Must come first; what follows is for the script.
        [magic] [required "missing script parameter"]
        "script" => script: Required<OsString>,
    }
}

/// One script for all methods.
#[derive(Default)]
struct Sh {
    params: Params,
    script: Option<Program>,
    /// There is a client at the other end of standard input, not a script.
    stdin_taken: bool,
}

impl Scripts for Sh {
    fn startup(&mut self, startup: &Startup) {
        self.stdin_taken = !startup.stdin;
    }

    fn params(&mut self) -> &mut dyn ParamSet {
        &mut self.params
    }

    fn config(&mut self, key: &str, value: &OsStr, tmpdir: &Path) -> Result<Taken> {
        if self.script.is_some() {
            return Ok(Taken::No);
        }
        if self.params.set(key, value)? == Taken::No {
            let message = format!("the first parameter must be script=/path/to/script, not {key}=");
            return Err(Error::invalid(message));
        }
        self.script = Some(match value.as_encoded_bytes() {
            b"-" if self.stdin_taken => {
                return Err(Error::invalid(
                    "inline script is incompatible with -s: standard input belongs to the client, put the script into a file",
                ));
            }
            b"-" => Program::save(tmpdir, "inline-script.sh", std::io::stdin().lock())?,
            _ => Program::existing(Path::new(value))?,
        });
        Ok(Taken::Yes)
    }

    fn unknown(&self, key: &str) -> Result<Taken> {
        let Some(script) = &self.script else { return Ok(Taken::No) };
        let message = format!("{script}: this plugin does not need command line configuration: {key}=");
        Err(Error::invalid(message))
    }

    fn find(&self, _: &str) -> Method<'_> {
        self.script.as_ref().map_or(Method::Missing, Method::Run)
    }
}
