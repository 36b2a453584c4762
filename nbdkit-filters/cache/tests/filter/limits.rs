// SPDX-License-Identifier: BSD-3-Clause
//! The temporary file stays within `cache-max-size`, and what has to go for that is not lost.

use crate::{BLOCK, Chain, FUA, disk::SIZE, read, untouched};
use nbdkit_filter::*;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

/// The temporary file that holds `marker`: tests run side by side, each with a file without a name.
fn temporary_file(marker: &[u8]) -> PathBuf {
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let nameless = |path: &PathBuf| {
        fs::read_link(path).is_ok_and(|to| to.to_string_lossy().ends_with(" (deleted)"))
            && fs::read(path).is_ok_and(|bytes| bytes.starts_with(marker))
    };
    let found: Vec<_> = open.filter(nameless).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[test]
fn least_recently_used_goes_first_and_down_to_the_low_threshold() {
    // Ten blocks; nine are too many, four are not.
    let params =
        [("cache-max-size", "655360"), ("cache-high-threshold", "90"), ("cache-low-threshold", "40")];
    let chain = Chain::new(&params);
    let disk = chain.open();
    for block in 0..9 {
        chain.cache(&*disk, block * BLOCK, 1).unwrap();
    }
    // The first is used again.
    chain.read(&*disk, 0, 5);
    chain.behind.diary();
    chain.cache(&*disk, 9 * BLOCK, 1).unwrap();
    chain.behind.diary();
    let kept: Vec<u64> = (0..10)
        .filter(|block| {
            chain.read(&*disk, block * BLOCK, 5);
            chain.behind.diary().is_empty()
        })
        .collect();
    assert_eq!(kept, [0, 7, 8, 9]);
}

#[test]
fn dirty_blocks_are_written_before_they_go() {
    for mode in ["writeback", "unsafe"] {
        let chain = Chain::new(&[("cache", mode), ("cache-max-size", "256k")]);
        let disk = chain.open();
        for block in 0..16 {
            chain.write(&*disk, block * BLOCK, &[block as u8 + 1; BLOCK as usize]);
        }
        assert!(chain.behind.count("write") >= 12, "{mode}");
        for block in 0..16 {
            assert_eq!(chain.read(&*disk, block * BLOCK + 7, 5), [block as u8 + 1; 5], "{mode}");
        }
    }
}

#[test]
fn those_that_cannot_be_written_stay() {
    let chain = Chain::new(&[("cache-max-size", "256k")]);
    let disk = chain.open();
    chain.behind.fail(false, true);
    let mut written = Vec::new();
    for block in 0..16 {
        let data = [block as u8 + 1; BLOCK as usize];
        if chain.try_write(&*disk, block * BLOCK, &data, Flags::default()).is_ok() {
            written.push(block);
        }
    }
    // There was room for these; the others were told of the error.
    assert_eq!(written, [0, 1, 2, 3]);
    // What is only read needs no room.
    assert_eq!(chain.read(&*disk, 8 * BLOCK, 5), untouched(8 * BLOCK, 5));
    chain.cache(&*disk, 8 * BLOCK, BLOCK).unwrap();
    for block in written {
        assert_eq!(chain.read(&*disk, block * BLOCK, 5), [block as u8 + 1; 5]);
    }
    chain.behind.fail(false, false);
    chain.flush(&*disk).unwrap();
    assert_eq!(chain.behind.bytes(3 * BLOCK, 5), [4; 5]);
}

#[test]
fn another_export_does_not_write_them_to_the_wrong_disk() {
    let chain = Chain::new(&[("cache-max-size", "256k")]);
    let (disk, other) = (chain.open(), chain.open_export("other"));
    chain.write(&*disk, 0, &[1; 3 * BLOCK as usize]);
    chain.behind.diary();
    for block in 8..24 {
        chain.cache(&*other, block * BLOCK, BLOCK).unwrap();
    }
    chain.write(&*other, 8 * BLOCK, &[2; 8 * BLOCK as usize]);
    assert_eq!(chain.behind.diary().iter().filter(|line| line.ends_with("@0")).count(), 0);
    assert_eq!(chain.read(&*disk, 0, 5), [1; 5]);
    chain.flush(&*disk).unwrap();
    assert_eq!(chain.behind.bytes(0, 5), [1; 5]);
}

#[test]
fn a_disk_that_is_larger_than_the_cache_is_read_once_each_time() {
    let chain = Chain::new(&[("cache-max-size", "64k"), ("cache-on-read", "true")]);
    let disk = chain.open();
    assert!(chain.read(&*disk, 0, SIZE as u32) == untouched(0, SIZE));
    assert_eq!(chain.behind.diary().len() as u64, SIZE / BLOCK, "nothing twice");
}

#[test]
fn what_is_forgotten_takes_no_space() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    let mut block = b"the file that is measured".to_vec();
    block.resize(BLOCK as usize, 1);
    chain.try_write(&*disk, 0, &block, FUA).unwrap();
    let file = temporary_file(b"the file that is measured");
    chain.close(disk).unwrap();
    chain.behind.info.lock().unwrap().size = SIZE - 512;
    chain.cache(&*chain.open(), BLOCK, BLOCK).unwrap();
    assert_eq!(fs::metadata(file).unwrap().len(), BLOCK, "the disk has changed, and the old block made room");
}

/// Sixteen requests at once, all over the disk, while the file is watched.
#[test]
fn the_file_stays_within_its_limit_under_any_load() {
    const MOST: u64 = 512 << 10;
    let params = [("cache-max-size", "512k"), ("cache-min-block-size", "8k"), ("cache-on-read", "true")];
    let chain = Chain::new(&params);
    chain.write(&*chain.open(), 0, b"the file that is watched");
    let file = temporary_file(b"the file that is watched");
    let space = || fs::metadata(&file).unwrap().blocks() * 512;
    let done = AtomicBool::new(false);
    let most = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !done.load(SeqCst) {
                most = most.max(space());
                thread::yield_now();
            }
            most
        });
        let workers: Vec<_> = (0..16u64)
            .map(|number| {
                let chain = &chain;
                scope.spawn(move || {
                    let (disk, mut seed) = (chain.open(), number);
                    chain.bench.run(async {
                        for _ in 0..300 {
                            seed =
                                seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(0x14057b7ef767814f);
                            let (offset, len) = (seed >> 20 & (SIZE / 2 - 1), 1 + (seed >> 45 & 0x1ffff));
                            match seed >> 62 {
                                0 => drop(read(&*disk, offset, len as u32).await),
                                1 => disk.cache(Span::new(offset, len)).await.unwrap(),
                                _ => {
                                    let data = Buf::from(vec![number as u8; len as usize]);
                                    disk.pwrite(data, offset, Flags::default()).await.unwrap();
                                }
                            }
                        }
                    });
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        done.store(true, SeqCst);
        watcher.join().unwrap()
    });
    assert!(most > MOST / 2, "{most} bytes: there was no load");
    assert!(most <= MOST, "{most} bytes");
}
