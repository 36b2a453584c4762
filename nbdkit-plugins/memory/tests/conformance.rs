// SPDX-License-Identifier: BSD-3-Clause
//! The disk in RAM keeps what every disk promises, with every allocator and at sizes that end within a page.

use nbdkit_memory_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};

const SIZES: [u64; 6] = [0, 1, 511, 32768, 1_000_001, 5 << 20];

fn kit(size: u64) -> Kit {
    Kit::new(PLUGIN).magic(&size.to_string()).size(size).content(Content::Zeroes)
}

#[test]
fn sparse() {
    SIZES.into_iter().for_each(|size| kit(size).granule(32768).run());
}

#[test]
fn malloc() {
    SIZES.into_iter().for_each(|size| kit(size).param("allocator", "malloc").run());
}

#[test]
fn malloc_locked_in_ram() {
    let report = kit(1_000_001).param("allocator", "malloc,mlock=true").operations(200).check();
    // Where so much may not be locked, that is said, and how to allow it.
    assert!(report.as_ref().map_or_else(|report| report.contains("`ulimit -l`"), |()| true), "{report:?}");
}

#[cfg(feature = "zstd")]
#[test]
fn zstd() {
    for size in [0, 511, 32768, 1_000_001, i64::MAX as u64] {
        kit(size).param("allocator", "zstd").granule(32768).operations(300).run();
    }
}

#[test]
fn the_largest_disk_there_is() {
    kit(i64::MAX as u64).granule(32768).operations(500).run();
    // The ends of numbers of 32 bits, and a page that is not whole at the end.
    kit((1 << 32) + 1).granule(32768).operations(500).run();
}
