// SPDX-License-Identifier: BSD-3-Clause
//! The kit with a disk that can be written, of which every client has its own.
#![allow(clippy::unwrap_used)] // tests, helpers included

use nbdkit_example3_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};

#[test]
fn every_client_has_a_disk_of_its_own() {
    let kit = || Kit::new(PLUGIN).content(Content::Zeroes).image_per_open();
    kit().size(100 << 20).operations(300).run();
    for size in [0, 1, 511, 1_000_001] {
        kit().param("size", &size.to_string()).size(size).operations(300).run();
    }
}

#[test]
fn too_large_a_file_is_an_error_that_says_so() {
    // No file system has files that are so long.
    let report = Kit::new(PLUGIN).param("size", "9223372036854775807").check();
    let Err(report) = report else { return };
    assert!(report.contains("temporary file of 9223372036854775807 bytes: "), "{report}");
}

#[test]
fn says_hello() {
    assert_eq!((PLUGIN.create)().dump(), [("example3_extra", "hello".to_owned())]);
}
