// SPDX-License-Identifier: BSD-3-Clause
//! What scripts are asked, and what becomes of what they answer.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests, helpers included

mod bench;
mod codes;
mod info;
mod life;
mod operations;
mod process;
