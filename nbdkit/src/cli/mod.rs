// SPDX-License-Identifier: BSD-3-Clause
//! The command line: what may stand on it, what it means, and the texts that answer it.
//!
//! Nothing here keeps state or prints: arguments go in, values, texts and errors come out. An error is one line that
//! names the option or parameter, perhaps followed by a line that helps.

pub mod conflicts;
pub mod dump;
pub mod help;
pub mod names;
mod nearest;
pub mod options;
pub mod parameter_file;
pub mod parameters;
mod quote;
pub mod settings;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod unusable;
pub mod uri;
pub mod version;

pub use conflicts::check;
pub use options::{Options, Task};
pub use quote::shell_quote;
pub use settings::{DebugFlag, LogTarget, Tls, UnixSocket};
