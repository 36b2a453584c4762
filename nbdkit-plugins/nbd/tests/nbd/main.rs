// SPDX-License-Identifier: BSD-3-Clause
//! The plugin against servers of the tests' own: good ones of every style, and bad ones.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests, helpers included

mod bad;
mod conformance;
mod corpus;
mod flow;
mod host;
mod hostile;
mod mutated;
mod peer;
