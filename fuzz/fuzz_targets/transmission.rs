// SPDX-License-Identifier: BSD-3-Clause
//! Any client against the server half of transmission.
#![no_main]

#[allow(dead_code, reason = "each target uses its part")]
#[path = "../../nbd-proto/tests/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::transmission::transmission(
    data,
    &mut fuzzed::Seen::default()
));
