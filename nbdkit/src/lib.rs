// SPDX-License-Identifier: BSD-3-Clause
//! Serves anything that looks like a disk over NBD.
//!
//! The program `nbdkit` is [`main`] with the plugins and filters of this build. A program with plugins of its own
//! calls [`main_with`] and gets the whole command line; one that wants no command line starts an [`embed::Embedded`].
#![deny(unsafe_code)] // but in `process`, which forks, and `activation`, which takes descriptors by number

mod activation;
pub mod captive;
pub mod cli;
pub mod components;
pub mod connection;
pub mod embed;
mod lifecycle;
pub mod listen;
pub mod log;
mod notify;
pub mod origin;
mod privileges;
mod process;
pub mod registry;
mod security_label;
pub mod serve;
pub mod tls;
pub mod trace;
pub mod wire;

use nbdkit_filter::FilterEntry;
use nbdkit_plugin::PluginEntry;
use std::process::ExitCode;

/// The program, with the plugins and filters of this build.
pub fn main() -> ExitCode {
    main_with(registry::PLUGINS, registry::FILTERS)
}

/// The program, with these plugins and filters.
pub fn main_with(plugins: &[&'static PluginEntry], filters: &[&'static FilterEntry]) -> ExitCode {
    lifecycle::run(std::env::args_os().skip(1), cli::names::Catalogue { plugins, filters })
}
