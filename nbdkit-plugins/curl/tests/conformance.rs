// SPDX-License-Identifier: BSD-3-Clause
//! A disk behind an HTTP server keeps what every disk promises.
#![allow(clippy::unwrap_used)] // tests, helpers included

mod origin;

use nbdkit_curl_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};
use origin::Origin;

/// Not a multiple of anything.
const SIZE: usize = (1 << 20) + 4096 + 123;

fn kit(origin: &Origin) -> Kit {
    Kit::new(PLUGIN).magic(&origin.url())
}

#[test]
fn keeps_its_promises() {
    let origin = Origin::start(vec![0; SIZE]);
    kit(&origin).size(SIZE as u64).content(Content::Zeroes).operations(300).run();
}

#[test]
fn over_one_connection() {
    let origin = Origin::start(vec![0; 100_000]);
    kit(&origin).param("connections", "1").size(100_000).content(Content::Zeroes).operations(100).run();
}

#[test]
fn an_empty_disk_is_a_disk() {
    let origin = Origin::start(Vec::new());
    kit(&origin).size(0).run();
}
