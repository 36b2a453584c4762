// SPDX-License-Identifier: BSD-3-Clause
//! What the crate does, without any peer: each module is one subject.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic too")]

#[path = "../fuzzed/mod.rs"]
mod fuzzed;

mod captures;
mod chunks;
mod contexts;
mod corpus;
mod endings;
mod nonsense;
mod options;
mod pair;
mod random;
mod raw;
mod replies;
mod requests;
mod seeds;
mod wire;
