// SPDX-License-Identifier: BSD-3-Clause
//! Holes: made where clients allow it, seen by those who ask, and never taken for data that is gone.

use crate::bench::{Bench, Client, directory, make, make_hole};
use nbdkit_plugin::{EIO, EOPNOTSUPP, Extent};
use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};
use tempfile::{TempDir, tempdir_in};

const K: u64 = 1024;
const SIZE: u64 = 1024 * K;

/// A disk file system, and one in memory if there is one: they do not know the same calls.
fn directories() -> Vec<TempDir> {
    let memory = Path::new("/dev/shm");
    let in_memory = memory.is_dir().then(|| tempdir_in(memory).unwrap());
    [directory()].into_iter().chain(in_memory).collect()
}

/// How many bytes of the file have space on the disk.
fn allocated(path: &Path) -> u64 {
    // Space is only assigned when data goes out.
    File::open(path).unwrap().sync_all().unwrap();
    fs::metadata(path).unwrap().blocks() * 512
}

fn full(dir: &TempDir) -> (std::path::PathBuf, Client) {
    let path = make(dir, "disk.img", &[0xaa; SIZE as usize]);
    assert!(allocated(&path) >= SIZE);
    let client = Bench::of_file(&path).open("").unwrap();
    (path, client)
}

fn assert_zeroed(client: &Client, offset: u64, len: u64) {
    let bytes = client.read(SIZE as u32, 0).unwrap();
    for (at, byte) in bytes.iter().enumerate() {
        let zero = (offset..offset + len).contains(&(at as u64));
        assert_eq!(*byte, if zero { 0 } else { 0xaa }, "at {at}");
    }
}

#[test]
fn trim_frees_space() {
    for dir in directories() {
        let (path, client) = full(&dir);
        let before = allocated(&path);
        client.trim(64 * K, 512 * K).unwrap();
        assert_eq!(before - allocated(&path), 512 * K);
        assert_zeroed(&client, 64 * K, 512 * K);
        assert_eq!(fs::metadata(&path).unwrap().len(), SIZE);
    }
}

#[test]
fn zero_frees_space_only_if_it_may() {
    for dir in directories() {
        let (path, client) = full(&dir);
        let before = allocated(&path);
        client.zero(64 * K, 512 * K, true).unwrap();
        assert_eq!(before - allocated(&path), 512 * K);
        assert_zeroed(&client, 64 * K, 512 * K);
        client.zero(64 * K, 512 * K, false).unwrap();
        assert_eq!(allocated(&path), before, "space must be allocated again");
        assert_zeroed(&client, 64 * K, 512 * K);
        // Not whole pages, and up to the end.
        client.zero(SIZE - 5000, 5000, false).unwrap();
        assert_eq!(client.read(5001, SIZE - 5001).unwrap(), [&[0xaa][..], &[0; 5000]].concat());
        assert_eq!(fs::metadata(&path).unwrap().len(), SIZE);
        assert_eq!(allocated(&path), before);
    }
}

#[test]
fn fast_zero_is_not_offered() {
    let dir = directory();
    let (_, client) = full(&dir);
    assert!(!client.info().fast_zero);
    assert_eq!(client.fast_zero(0, 4096).unwrap_err().errno(), EOPNOTSUPP);
    assert_zeroed(&client, 0, 0);
}

#[test]
fn extents_are_exact() {
    for dir in directories() {
        let path = make_hole(&dir, SIZE);
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[1; 64 << 10], 256 * K).unwrap();
        let client = Bench::of_file(&path).open("").unwrap();
        assert!(client.info().extents);
        let (hole, data) = (Extent::hole, Extent::data);
        let all = [hole(256 * K), data(64 * K), hole(704 * K)];
        assert_eq!(client.extents(0, SIZE, false), all);
        assert_eq!(client.extents(255 * K, 2 * K, false), [hole(K), data(K)]);
        assert_eq!(client.extents(256 * K + 1, SIZE - 256 * K - 1, false), [data(64 * K - 1), hole(704 * K)]);
        assert_eq!(client.extents(SIZE - 1, 1, false), [hole(1)]);
        assert_eq!(client.extents(0, SIZE, true)[0], hole(256 * K));
        assert_eq!(client.extents(300 * K, SIZE - 300 * K, true), [data(20 * K)]);
    }
}

#[test]
fn large_reads_of_holes_are_not_read() {
    for dir in directories() {
        let path = make_hole(&dir, SIZE);
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[1; 4096], 256 * K).unwrap();
        let client = Bench::of_file(&path).open("").unwrap();
        let k = K as u32;
        assert!(client.reads_hole(256 * k, 0));
        assert!(client.reads_hole(256 * k, 512 * K));
        assert!(client.reads_hole(64 * k, SIZE - 64 * K));
        assert!(!client.reads_hole(64 * k, 256 * K - 32 * K));
        assert!(client.read(1024 * k, 0).unwrap()[256 << 10..260 << 10].iter().all(|byte| *byte == 1));
    }
}

#[test]
fn an_answer_about_extents_is_bounded() {
    const PAIRS: u64 = 3000;
    let dir = directory();
    let path = make_hole(&dir, PAIRS * 8 * K);
    let file = File::options().write(true).open(&path).unwrap();
    (0..PAIRS).for_each(|pair| file.write_all_at(&[1; 4096], pair * 8 * K).unwrap());
    let client = Bench::of_file(&path).open("").unwrap();
    let (mut at, mut calls, mut found) = (0, 0, 0);
    while at < PAIRS * 8 * K {
        let extents = client.extents(at, PAIRS * 8 * K - at, false);
        assert!(extents.len() <= 2000, "{} extents", extents.len());
        found += extents.len() as u64;
        at += extents.iter().map(|extent| extent.len).sum::<u64>();
        calls += 1;
    }
    // The first extent is data, so that the last answer is one hole.
    assert_eq!((found, calls), (PAIRS * 2, 4));
}

#[test]
fn a_file_that_became_shorter_is_an_error_not_zeroes() {
    let dir = directory();
    let (path, client) = full(&dir);
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(SIZE / 2 + 1).unwrap();
    assert_eq!(client.read(10, 0).unwrap(), [0xaa; 10]);
    for (len, offset) in [(2, SIZE / 2), (4096, SIZE - 4096), (SIZE as u32, 0)] {
        assert_eq!(client.read(len, offset).unwrap_err().errno(), EIO, "{len} at {offset}");
    }
    assert!(client.extents(0, SIZE, false).iter().all(|extent| !extent.zero));
    assert_eq!(client.extents(SIZE / 2 + K, K, false), [Extent::data(K)]);
    client.cache(0, SIZE);
    client.flush();

    let values = [("file", path.as_os_str()), ("cache", "none".as_ref())];
    let evicting = Bench::new(&values).unwrap().open("").unwrap();
    file.set_len(1).unwrap();
    let error = evicting.read(4096, 0).unwrap_err();
    assert_eq!(error.errno(), EIO);
    assert!(
        error.to_string().ends_with("disk.img: the file is now too short to read 4096 bytes at offset 0")
    );
}
