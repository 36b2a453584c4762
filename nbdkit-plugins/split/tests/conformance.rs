// SPDX-License-Identifier: BSD-3-Clause
//! Files in a row keep what every disk promises, wherever one ends and the next begins.
#![allow(clippy::unwrap_used)] // tests, helpers included

use nbdkit_plugin::conformance::{Content, Kit};
use nbdkit_split_plugin::PLUGIN;
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tempfile::{TempDir, tempdir_in};

fn on_disk() -> TempDir {
    tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Files of these sizes, all of them holes.
fn files(dir: &TempDir, sizes: &[u64]) -> Vec<PathBuf> {
    let make = |(number, size): (usize, &u64)| {
        let path = dir.path().join(format!("part{number}"));
        File::create_new(&path).unwrap().set_len(*size).unwrap();
        path
    };
    sizes.iter().enumerate().map(make).collect()
}

fn kit(files: &[PathBuf]) -> Kit {
    files.iter().fold(Kit::new(PLUGIN), |kit, path| kit.magic(path.to_str().unwrap()))
}

#[test]
fn files_of_any_sizes() {
    for sizes in [
        &[][..],
        &[0],
        &[0, 0, 1],
        &[1_000_000],
        &[1000, 0, 1, 70_001, 4096, 500_000, 0],
        &[(1 << 31) - 5, 1 << 31, 1 << 20],
    ] {
        let dir = on_disk();
        kit(&files(&dir, sizes)).size(sizes.iter().sum()).content(Content::Zeroes).operations(400).run();
    }
}

#[test]
fn many_files() {
    let dir = on_disk();
    let sizes: Vec<u64> = (0..300).map(|number| number * 7919 % 5000).collect();
    kit(&files(&dir, &sizes)).size(sizes.iter().sum()).content(Content::Zeroes).operations(400).run();
}

#[test]
fn files_come_in_the_order_given() {
    let dir = on_disk();
    let files = files(&dir, &[0, 0, 0]);
    for (file, text) in files.iter().zip(["one ", "two ", "three"]) {
        fs::write(file, text).unwrap();
    }
    let [one, two, three] = &files[..] else { panic!("there are three") };
    let in_order = [three.clone(), one.clone(), two.clone()];
    kit(&in_order).content(Content::Bytes(b"threeone two ".to_vec())).operations(0).run();
    assert_eq!([one, two, three].map(|file| fs::metadata(file).unwrap().len()), [4, 4, 5]);
}

#[test]
fn links_are_followed_at_the_start() {
    let dir = on_disk();
    let file = &files(&dir, &[100_000])[0];
    let link = dir.path().join("link");
    symlink(file, &link).unwrap();
    kit(&[link]).size(100_000).content(Content::Zeroes).operations(100).run();
}

/// What is said of `path` when the server starts.
fn refusal(path: &Path) -> String {
    let mut plugin = (PLUGIN.create)();
    plugin.config("file", path.as_os_str()).unwrap();
    plugin.config_complete().unwrap_err().to_string()
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    let dir = on_disk();
    let path = dir.path();
    assert_eq!(refusal(path), format!("{}: should be a regular file", path.display()));
    let missing = path.join("missing");
    assert_eq!(refusal(&missing), format!("{}: No such file or directory", missing.display()));
}
