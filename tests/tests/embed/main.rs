// SPDX-License-Identifier: BSD-3-Clause
//! The server inside another program, with plugins made for what is to be proven.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod crossfire;
mod examples;
mod fairness;
mod faults;
mod leaving;
mod stopping;
mod thread_models;
