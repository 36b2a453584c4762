// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod call;
mod disk;
mod exports;
mod extents;
mod failure;
mod host;
mod info;
mod program;
mod tmpdir;

pub use host::{CALLBACKS, Host};
pub use program::Program;

use nbdkit_plugin::{ParamSet, Result, Startup, Taken};
use std::{ffi::OsStr, path::Path};

/// Where the scripts of a plugin come from: what the plugins built on [`Host`] differ in.
pub trait Scripts: Default + Send + Sync + 'static {
    /// The first call, before any parameter comes.
    fn startup(&mut self, startup: &Startup) {
        let _ = startup;
    }

    /// The declared parameters.
    fn params(&mut self) -> &mut dyn ParamSet;

    /// Takes one `key=value` of the command line; files may be made in `tmpdir`. `Taken::No` leaves it to the method
    /// `config`.
    ///
    /// # Errors
    /// When it is a parameter of the plugin's own and wrong.
    fn config(&mut self, key: &str, value: &OsStr, tmpdir: &Path) -> Result<Taken>;

    /// There is no method `config` to take `key`. By default nobody has taken it.
    ///
    /// # Errors
    /// When something better can be said of it.
    fn unknown(&self, key: &str) -> Result<Taken> {
        let _ = key;
        Ok(Taken::No)
    }

    /// How `method` is answered.
    fn find(&self, method: &str) -> Method<'_>;
}

/// How a method is answered.
#[derive(Clone, Copy, Debug)]
pub enum Method<'a> {
    /// By this program.
    Run(&'a Program),
    /// As if a program had printed this and exited with 0.
    Known(&'static str),
    /// Not at all.
    Missing,
}
