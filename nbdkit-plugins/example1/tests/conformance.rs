// SPDX-License-Identifier: BSD-3-Clause
//! The tests of most plugins begin like this. The kit takes the plugin through its whole life and asks its disks for
//! all that they promise; a few lines say what is expected of this one.

use nbdkit_example1_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};

/// What the byte at each offset should be.
fn byte(offset: u64) -> u8 {
    let text = b"This disk is part of the program that serves it.\nAfter these two lines come zeroes, up to 100 megabytes.\n";
    text.get(offset as usize).copied().unwrap_or(0)
}

#[test]
fn keeps_its_promises() {
    Kit::new(PLUGIN).size(100 << 20).content(Content::Rule(byte)).run();
}
