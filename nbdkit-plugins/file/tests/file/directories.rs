// SPDX-License-Identifier: BSD-3-Clause
//! Exports that are the files of a directory.

use crate::bench::{Bench, directory, make};
use nix::{sys::stat::Mode, unistd::mkfifo};
use std::{
    ffi::OsStr,
    fs::{self, File},
    os::{
        fd::AsRawFd,
        unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
    },
};
use tempfile::TempDir;

/// A directory with something of everything.
fn zoo() -> TempDir {
    let dir = directory();
    let at = |name: &str| dir.path().join(name);
    make(&dir, "plain", b"plain");
    make(&dir, ".dot", b"dot");
    make(&dir, "käse", "käse".as_bytes());
    make(&dir, OsStr::from_bytes(b"latin\xe9"), b"");
    symlink("plain", at("link")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    symlink("sub", at("sublink")).unwrap();
    fs::create_dir(at("sub")).unwrap();
    mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    UnixListener::bind(at("socket")).unwrap();
    dir
}

/// It serves what it should and refuses the rest.
fn examine(bench: &Bench) {
    assert_eq!(bench.list().unwrap().unwrap(), [".dot", "käse", "link", "plain"]);
    for (name, bytes) in [("plain", "plain"), (".dot", "dot"), ("käse", "käse"), ("link", "plain")] {
        let client = bench.open(name).unwrap();
        assert_eq!(client.read(bytes.len() as u32, 0).unwrap(), bytes.as_bytes());
        assert_eq!(client.info().size, bytes.len() as u64);
    }
    for name in [".", "..", "sub", "sublink", "fifo", "socket"] {
        // Read-only too: opening a pipe like that waits for someone to write.
        for opened in [bench.open(name), bench.open_read_only(name)] {
            let error = opened.err().unwrap();
            assert_eq!(error.to_string(), format!("file is not regular or block device: {name}"));
        }
    }
    for (name, message) in [
        ("", "open: cannot use empty file name or export name (\"\")"),
        ("/", "/: exportname cannot contain /"),
        ("../etc", "../etc: exportname cannot contain /"),
        ("plain/", "plain/: exportname cannot contain /"),
        ("missing", "open: missing: No such file or directory"),
        ("dangling", "open: dangling: No such file or directory"),
        ("a\0b", "open: a\0b: Invalid argument"),
    ] {
        assert_eq!(bench.open(name).err().unwrap().to_string(), message);
    }
    assert!(bench.open(&"n".repeat(4096)).is_err());
}

#[test]
fn by_name() {
    let zoo = zoo();
    let bench = Bench::new(&[("dir", zoo.path())]).unwrap();
    examine(&bench);
    make(&zoo, "later", b"new");
    assert!(bench.list().unwrap().unwrap().contains(&"later".to_owned()));
    assert_eq!(bench.open("later").unwrap().read(3, 0).unwrap(), b"new");
}

#[test]
fn by_descriptor() {
    let zoo = zoo();
    let dir = File::open(zoo.path()).unwrap();
    let bench = Bench::new(&[("dirfd", dir.as_raw_fd().to_string())]).unwrap();
    drop(dir);
    examine(&bench);
    examine(&bench);
}

#[test]
fn a_single_file_lists_nothing_of_its_own() {
    let dir = directory();
    let path = make(&dir, "disk.img", b"x");
    assert_eq!(Bench::of_file(&path).list().unwrap(), None);
}

#[test]
fn more_files_than_can_be_listed() {
    let dir = directory();
    (0..=10_000).for_each(|number| drop(make(&dir, number.to_string(), b"")));
    let bench = Bench::new(&[("dir", dir.path())]).unwrap();
    assert_eq!(
        bench.list().unwrap_err().to_string(),
        "the directory has too many files to list, should be at most 10000"
    );
    bench.open("10000").unwrap();
    fs::remove_file(dir.path().join("17")).unwrap();
    assert_eq!(bench.list().unwrap().unwrap().len(), 10_000);
}
