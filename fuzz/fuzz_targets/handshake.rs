// SPDX-License-Identifier: BSD-3-Clause
//! Any client against the server half of the handshake.
#![no_main]

#[allow(dead_code, reason = "each target uses its part")]
#[path = "../../nbd-proto/tests/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::handshake::handshake(data, &mut fuzzed::Seen::default()));
