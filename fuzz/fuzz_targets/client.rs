// SPDX-License-Identifier: BSD-3-Clause
//! Any server against the client half.
#![no_main]

#[allow(dead_code, reason = "each target uses its part")]
#[path = "../../nbd-proto/tests/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::client::client(data, &mut fuzzed::Seen::default()));
