// SPDX-License-Identifier: BSD-3-Clause
//! The disk of zeroes keeps what every disk promises, and drops what is written.

use nbdkit_null_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit, Writes};

fn kit(size: u64) -> Kit {
    Kit::new(PLUGIN).size(size).content(Content::Zeroes).writes(Writes::Dropped).granule(1)
}

#[test]
fn every_size() {
    kit(0).run();
    for size in [1, 511, 1_000_001, i64::MAX as u64] {
        kit(size).magic(&size.to_string()).run();
    }
}
