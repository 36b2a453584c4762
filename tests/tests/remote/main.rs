// SPDX-License-Identifier: BSD-3-Clause
//! Disks of other machines: HTTP, SSH and NBD servers that are real, on loopback, and fail in every way they can.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod caching;
mod callers;
mod curl;
mod leaks;
mod nbd;
mod outages;
mod ssh;
