// SPDX-License-Identifier: BSD-3-Clause
//! The disk of ones keeps what every disk promises, holds the byte it was given, and drops what is written.

use nbdkit_ones_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit, Writes};

fn kit(size: u64) -> Kit {
    Kit::new(PLUGIN).magic(&size.to_string()).size(size).writes(Writes::Dropped)
}

#[test]
fn every_size() {
    for size in [0, 1, 511, 256 << 10, 1_000_001, i64::MAX as u64] {
        kit(size).content(Content::Rule(|_| 0xff)).run();
    }
}

#[test]
fn every_byte() {
    kit(1 << 20).param("byte", "0x5a").content(Content::Rule(|_| 0x5a)).run();
    kit(1 << 20).param("byte", "0").content(Content::Zeroes).run();
}

#[test]
fn what_is_not_a_byte_is_refused() {
    let error = (PLUGIN.create)().config("byte", "256".as_ref()).expect_err("256 is not a byte");
    assert!(error.to_string().starts_with("byte: ") && error.to_string().ends_with("should be 0 to 255"));
}
