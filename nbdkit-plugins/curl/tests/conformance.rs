// SPDX-License-Identifier: BSD-3-Clause
//! The plugin keeps what every disk promises, and holds what it says.

use nbdkit_curl_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};

#[test]
fn keeps_its_promises() {
    Kit::new(PLUGIN).magic("100k").size(100 << 10).content(Content::Rule(|_| 0xff)).run();
}

#[test]
fn an_empty_disk_is_a_disk() {
    Kit::new(PLUGIN).size(0).run();
}
