// SPDX-License-Identifier: BSD-3-Clause
//! Any server against the nbd plugin: from the greeting to the answers of requests in flight.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| { nbdkit_nbd_plugin::fuzz(input); });
