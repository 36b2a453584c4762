// SPDX-License-Identifier: BSD-3-Clause
//! Every way to name a file, on a disk file system, in memory and on a block device, keeps all promises of a disk.
#![allow(clippy::unwrap_used)] // tests, helpers included

mod loopdev;

use loopdev::Loop;
use nbdkit_file_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};
use std::{
    fs::File,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};
use tempfile::{TempDir, tempdir, tempdir_in};

const SIZE: u64 = (1 << 20) + 4096 + 123;

/// An empty image of `size` bytes in `dir`.
fn image(dir: &TempDir, size: u64) -> PathBuf {
    let path = dir.path().join("disk.img");
    File::create_new(&path).unwrap().set_len(size).unwrap();
    path
}

fn on_disk() -> TempDir {
    tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn kit() -> Kit {
    Kit::new(PLUGIN).size(SIZE).content(Content::Zeroes).granule(4096)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn read_write(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

#[test]
fn file() {
    let dir = on_disk();
    kit().magic(text(&image(&dir, SIZE))).run();
}

#[test]
fn empty_file() {
    let dir = on_disk();
    kit().size(0).param("file", text(&image(&dir, 0))).run();
}

#[test]
fn file_in_memory() {
    // tmpfs where there is one: it does not know ZERO_RANGE.
    let dir = if Path::new("/dev/shm").is_dir() { tempdir_in("/dev/shm") } else { tempdir() }.unwrap();
    kit().param("file", text(&image(&dir, SIZE))).run();
}

#[test]
fn with_reduced_memory_pressure() {
    let dir = on_disk();
    kit()
        .magic(text(&image(&dir, SIZE)))
        .param("reduce-memory-pressure", "true")
        .param("fadvise", "random")
        .operations(200)
        .run();
}

#[test]
fn file_in_directory() {
    let dir = on_disk();
    image(&dir, SIZE);
    kit().param("dir", text(dir.path())).export("disk.img").run();
}

#[test]
fn inherited_file() {
    let dir = on_disk();
    let file = read_write(&image(&dir, SIZE));
    kit().param("fd", &file.as_raw_fd().to_string()).run();
}

#[test]
fn inherited_directory() {
    let dir = on_disk();
    image(&dir, SIZE);
    let fd = File::open(dir.path()).unwrap();
    kit().param("dirfd", &fd.as_raw_fd().to_string()).export("disk.img").run();
}

#[test]
fn block_device() {
    let dir = on_disk();
    for options in [&[][..], &["-b", "4096"]] {
        let path = image(&dir, 2 << 20);
        let Some(device) = Loop::new(&path, options) else { return };
        Kit::new(PLUGIN).size(2 << 20).magic(text(device.path())).run();
        drop(device);
        std::fs::remove_file(path).unwrap();
    }
}
