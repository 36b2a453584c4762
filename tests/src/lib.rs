// SPDX-License-Identifier: BSD-3-Clause
//! The harness of the whole-program tests: start the `nbdkit` binary, talk to it, and see what it did.
//!
//! Nothing here links to the program: it is run as a user runs it, and what goes over the wire is written and
//! read as plain bytes by [`raw`], so that a misreading of the protocol cannot hide by being shared.
//!
//! A step that fails is a test that fails, hence the panics everywhere; each carries what was run and what came.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod binary;
mod command;
pub mod data;
pub mod files;
pub mod needs;
pub mod peers;
pub mod process;
pub mod raw;
mod server;
mod wait;

pub use binary::{Feature, nbdkit, supports};
pub use command::{Output, run, run_with, tool};
pub use needs::needs;
pub use server::{Launch, Server};
pub use wait::{HANG, eventually, until};
