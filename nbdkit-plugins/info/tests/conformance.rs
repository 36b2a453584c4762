// SPDX-License-Identifier: BSD-3-Clause
//! What does not change while it is read keeps what every disk promises.

use nbdkit_info_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};

fn kit(export: &str, content: &[u8]) -> Kit {
    Kit::new(PLUGIN).export(export).content(Content::Bytes(content.to_vec()))
}

#[test]
fn the_name_of_the_export() {
    kit("", b"").run();
    kit("a name", b"a name").magic("exportname").run();
    kit(&"n".repeat(4096), &[b'n'; 4096]).run();
    kit("aGVsbG8=", b"hello").magic("base64exportname").run();
}

#[test]
fn a_name_that_is_not_base64_cannot_be_opened() {
    let report = kit("aGVsbG8", b"hello").param("mode", "base64exportname").check().expect_err("not padded");
    assert!(report.contains("should be base64"), "{report}");
}

#[test]
fn the_version() {
    kit("any", b"1.48.0").param("mode", "version").run();
}
