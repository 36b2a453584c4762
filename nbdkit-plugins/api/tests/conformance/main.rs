// SPDX-License-Identifier: BSD-3-Clause
//! The conformance kit finds nothing wrong with good disks, and what is wrong with each of many broken ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod disks;
mod plugins;
mod reference;
mod write_back;
