// SPDX-License-Identifier: BSD-3-Clause
//! The kit with a parameter, and the error texts that users see.
#![allow(clippy::unwrap_used)] // tests, helpers included

use nbdkit_example2_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};
use std::fs;

#[test]
fn serves_the_bytes_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.img");
    let file = path.to_str().unwrap();
    for size in [0, 1, 511, 70_001] {
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        Kit::new(PLUGIN).param("file", file).content(Content::Bytes(bytes)).run();
    }
}

#[test]
fn the_file_must_be_given() {
    let error = (PLUGIN.create)().config_complete().unwrap_err();
    assert_eq!(
        error.to_string(),
        "you must supply the file=<FILENAME> parameter after the plugin name on the command line"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let report = Kit::new(PLUGIN).param("file", missing.to_str().unwrap()).check().unwrap_err();
    assert!(report.contains(&format!("{}: No such file or directory", missing.display())), "{report}");
}

#[test]
fn says_hello() {
    assert_eq!((PLUGIN.create)().dump(), [("example2_extra", "hello".to_owned())]);
}
