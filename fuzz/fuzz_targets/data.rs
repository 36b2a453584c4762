// SPDX-License-Identifier: BSD-3-Clause
//! Expressions of the data plugin: any text is refused or laid out.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| drop(nbdkit_data_plugin::fuzz(input)));
