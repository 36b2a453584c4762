// SPDX-License-Identifier: BSD-3-Clause
//! What is this plugin's own: how files are named and opened, and what becomes of their holes and pages.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests, helpers included

mod bench;
mod devices;
mod directories;
mod holes;
#[path = "../loopdev/mod.rs"]
mod loopdev;
mod memory;
mod sources;
