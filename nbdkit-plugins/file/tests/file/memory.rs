// SPDX-License-Identifier: BSD-3-Clause
//! The page cache: spared with reduce-memory-pressure, and what FUA and cache requests do to it.

use crate::bench::{Bench, Client, directory, make_hole};
use rustix::{
    fs::{Advice, fadvise},
    io::{Errno, ReadWriteFlags, preadv2},
};
use std::{
    fs::File,
    io::IoSliceMut,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const SIZE: usize = 8 << 20;
const PIECE: usize = 256 << 10;

/// How many pages of the file are in memory. Looking brings the others in, so that it is done once for each file.
fn resident(path: &Path) -> usize {
    let file = File::open(path).unwrap();
    // No page but the one that is asked for.
    fadvise(&file, 0, None, Advice::Random).unwrap();
    let in_memory = |page: &usize| {
        let mut byte = [0];
        let slices = &mut [IoSliceMut::new(&mut byte)];
        match preadv2(&file, slices, (page * 4096) as u64, ReadWriteFlags::NOWAIT) {
            Err(Errno::AGAIN) => false,
            result => result.map(|_| true).unwrap(),
        }
    };
    (0..SIZE / 4096).filter(in_memory).count()
}

/// A file all over written by a client who is told nothing else.
fn written(dir: &TempDir, key: &str, value: &str) -> (PathBuf, Client) {
    let path = make_hole(dir, SIZE as u64);
    let values = [("file", path.as_os_str()), (key, value.as_ref())];
    let client = Bench::new(&values).unwrap().open("").unwrap();
    for offset in (0..SIZE).step_by(PIECE) {
        client.write(&vec![offset as u8 + 1; PIECE], offset as u64).unwrap();
    }
    (path, client)
}

#[test]
fn what_is_written_leaves_soon_if_so_wished() {
    for (key, value, most) in [
        // The last eight writes are on their way.
        ("reduce-memory-pressure", "true", 8 * PIECE / 4096),
        ("cache", "none", 8 * PIECE / 4096),
        ("cache", "default", SIZE / 4096),
    ] {
        let dir = directory();
        let (path, client) = written(&dir, key, value);
        let left = resident(&path);
        assert!(left <= most && left > 0, "{key}={value}: {left} pages, should be at most {most}");
        client.close();
    }
}

#[test]
fn nothing_is_left_after_close() {
    let dir = directory();
    let (path, client) = written(&dir, "reduce-memory-pressure", "true");
    client.close();
    assert_eq!(resident(&path), 0);
}

#[test]
fn what_is_read_leaves_if_so_wished() {
    // Shorter and longer than what is read ahead, and out of step with it.
    for piece in [PIECE, 64 << 10, 100_000, 3 << 20] {
        for (value, dropped) in [("true", true), ("false", false)] {
            let dir = directory();
            let (path, client) = written(&dir, "reduce-memory-pressure", value);
            client.flush();
            fadvise(File::open(&path).unwrap(), 0, None, Advice::DontNeed).unwrap();
            for offset in (0..SIZE).step_by(piece) {
                let len = piece.min(SIZE - offset);
                assert_eq!(client.read(len as u32, offset as u64).unwrap().len(), len);
            }
            let left = resident(&path);
            let most = if dropped { 0 } else { SIZE / 4096 };
            assert_eq!(left, most, "{value}: pages after reading in pieces of {piece} bytes");
            client.close();
        }
    }
}

#[test]
fn cache_brings_pages_in() {
    let dir = directory();
    let (path, client) = written(&dir, "cache", "default");
    client.flush();
    let file = File::open(&path).unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    client.cache(0, SIZE as u64);
    // They are on their way. Reading the last one waits for it, and asks for no other.
    fadvise(&file, 0, None, Advice::Random).unwrap();
    file.read_at(&mut [0], SIZE as u64 - 1).unwrap();
    let there = resident(&path);
    assert!(there > SIZE / 4096 / 2, "{there} pages");
}

#[test]
fn random_reading_reads_nothing_ahead() {
    let dir = directory();
    let (path, client) = written(&dir, "fadvise", "random");
    client.flush();
    fadvise(File::open(&path).unwrap(), 0, None, Advice::DontNeed).unwrap();
    client.read(4096, 1 << 20).unwrap();
    assert_eq!(resident(&path), 1);
}

#[test]
fn a_write_that_would_sleep_is_left_to_a_thread() {
    let dir = directory();
    let (path, client) = written(&dir, "cache", "default");
    client.flush();
    fadvise(File::open(&path).unwrap(), 0, None, Advice::DontNeed).unwrap();
    // Far from each other, because looking reads ahead.
    for (len, offset) in [(1, 1 << 20), (4096, (3 << 20) + 1), (5000, 5 << 20), (100, (7 << 20) - 100)] {
        assert!(client.write_waits(len, offset, false), "{len} at {offset}: a block must be read first");
    }
    assert!(client.write_waits(PIECE + 1, 0, false) && client.write_waits(4096, 0, true));

    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        let dir = tempfile::tempdir_in(memory).unwrap();
        let (_, client) = written(&dir, "cache", "default");
        for (len, offset) in [(1, 0), (4096, 1), (5000, 4096), (PIECE, 3)] {
            assert!(!client.write_waits(len, offset, false), "{len} at {offset}");
            assert_eq!(client.read(len as u32, offset).unwrap(), vec![0x55; len]);
        }
        assert!(client.write_waits(PIECE + 1, 0, false) && client.write_waits(4096, 0, true));
    }
}
