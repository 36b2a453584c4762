// SPDX-License-Identifier: BSD-3-Clause
//! Disks made by scripts keep what every disk promises.

use nbdkit_plugin::conformance::{Content, Kit, Writes};
use nbdkit_sh_plugin::PLUGIN;

fn kit(script: &str) -> Kit {
    let path = format!("{}/tests/scripts/{script}", env!("CARGO_MANIFEST_DIR"));
    Kit::new(PLUGIN).param("script", &path).any_key().operations(60)
}

#[test]
fn a_disk_in_ram() {
    kit("ram.sh").param("size", "40000").size(40000).content(Content::Zeroes).granule(4096).run();
}

#[test]
fn a_disk_that_can_only_be_read_and_written() {
    kit("plain.sh").size(20000).content(Content::Zeroes).run();
}

#[test]
fn a_disk_that_is_full() {
    kit("full.sh").size(1 << 20).content(Content::Rule(|_| b'x')).writes(Writes::Fail(28)).run();
}
