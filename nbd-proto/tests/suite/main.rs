// SPDX-License-Identifier: BSD-3-Clause
//! What the crate does, without any peer: each module is one subject.

#[path = "../fuzzed/mod.rs"]
mod fuzzed;

mod corpus;
mod pair;
