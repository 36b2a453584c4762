// SPDX-License-Identifier: BSD-3-Clause
//! When writes reach the disk behind, and what becomes of those that fail.

use crate::{
    BLOCK, Chain, FUA,
    disk::{SIZE, byte},
    untouched,
};
use futures_lite::future::{poll_once, zip};
use nbdkit_filter::*;
use std::pin::pin;

#[test]
fn writeback_writes_on_a_flush() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    chain.write(&*disk, BLOCK, &[1; 2 * BLOCK as usize]);
    chain.write(&*disk, 5 * BLOCK + 5, &[2; 10]);
    chain.write(&*disk, 5 * BLOCK + 15, &[3; 10]);
    assert_eq!(chain.behind.diary(), ["read 65536@327680"], "only the block that was written in part");
    assert_eq!(chain.read(&*chain.open(), 2 * BLOCK - 1, 2), [1; 2], "others see it at once");
    chain.flush(&*disk).unwrap();
    assert_eq!(chain.behind.diary(), ["write 131072@65536", "write 65536@327680", "flush"]);
    let expected =
        [vec![byte(5 * BLOCK + 4)], vec![2; 10], vec![3; 10], untouched(5 * BLOCK + 25, 1)].concat();
    assert_eq!(chain.behind.bytes(5 * BLOCK + 4, 22), expected);
    chain.flush(&*disk).unwrap();
    assert_eq!(chain.behind.diary(), ["flush"], "nothing is dirty any more");
    assert_eq!(chain.read(&*disk, 5 * BLOCK + 4, 22), expected);
    assert!(chain.behind.diary().is_empty(), "but still here");
}

#[test]
fn writeback_with_fua_writes_through_and_no_more_than_that() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    chain.write(&*disk, 0, &[1; BLOCK as usize]);
    chain.try_write(&*disk, 100, &[2; 10], FUA).unwrap();
    chain.try_write(&*disk, 3 * BLOCK - 5, &[3; 5 + BLOCK as usize], FUA).unwrap();
    assert_eq!(chain.behind.diary(), ["write 10@100 fua", "write 65541@196603 fua"]);
    assert_eq!(chain.read(&*disk, 99, 12), [vec![1], vec![2; 10], vec![1]].concat());
    assert_eq!(chain.read(&*disk, 3 * BLOCK, 5), [3; 5]);
    assert!(chain.behind.diary().is_empty(), "a whole block is kept as well");
    chain.flush(&*disk).unwrap();
    assert_eq!(chain.behind.diary(), ["write 65536@0", "flush"], "it was dirty before");
    assert_eq!(chain.behind.bytes(99, 12), [vec![1], vec![2; 10], vec![1]].concat());
}

#[test]
fn writethrough_writes_at_once() {
    let chain = Chain::new(&[("cache", "writethrough")]);
    let disk = chain.open();
    chain.cache(&*disk, 0, BLOCK).unwrap();
    chain.behind.diary();
    chain.write(&*disk, 5, &[1; 10]);
    chain.try_write(&*disk, BLOCK, &[2; BLOCK as usize], FUA).unwrap();
    assert_eq!(chain.behind.diary(), ["write 10@5", "write 65536@65536 fua"]);
    assert_eq!(chain.read(&*disk, 4, 12), [untouched(4, 1), vec![1; 10], untouched(15, 1)].concat());
    assert_eq!(chain.read(&*disk, BLOCK, 5), [2; 5]);
    chain.flush(&*disk).unwrap();
    assert_eq!(chain.behind.diary(), ["flush"]);
}

#[test]
fn unsafe_never_writes_as_long_as_there_is_room() {
    let chain = Chain::new(&[("cache", "unsafe")]);
    let disk = chain.open();
    chain.try_write(&*disk, 0, &[1; BLOCK as usize], FUA).unwrap();
    chain.flush(&*disk).unwrap();
    chain.close(disk).unwrap();
    assert!(chain.behind.diary().is_empty());
    assert_eq!(chain.read(&*chain.open(), 0, 5), [1; 5]);
}

#[test]
fn the_last_client_leaves_nothing_dirty() {
    let chain = Chain::new(&[]);
    let (one, two) = (chain.open(), chain.open());
    chain.write(&*one, 0, &[1; BLOCK as usize]);
    chain.close(one).unwrap();
    assert!(chain.behind.diary().is_empty());
    chain.behind.fail(false, true);
    assert_eq!(chain.close(two).unwrap_err().errno(), ENOSPC);
    chain.behind.fail(false, false);
    chain.behind.diary();
    let three = chain.open();
    assert_eq!(chain.read(&*three, 0, 5), [1; 5], "a write that failed is not lost");
    chain.close(three).unwrap();
    assert_eq!(chain.behind.diary(), ["write 65536@0"]);
    assert_eq!(chain.behind.bytes(0, BLOCK), vec![1; BLOCK as usize]);
}

#[test]
fn a_flush_that_fails_says_so_and_keeps_what_is_dirty() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    chain.write(&*disk, 0, &[1; BLOCK as usize]);
    chain.write(&*disk, 2 * BLOCK, &[2; BLOCK as usize]);
    chain.behind.fail(false, true);
    for _ in 0..2 {
        assert_eq!(chain.flush(&*disk).unwrap_err().errno(), ENOSPC);
        assert_eq!(chain.behind.diary(), ["write 65536@0", "write 65536@131072"], "each is tried");
    }
    assert_eq!(chain.read(&*disk, 2 * BLOCK, 5), [2; 5]);
    chain.behind.fail(false, false);
    chain.flush(&*disk).unwrap();
    assert_eq!(chain.behind.bytes(2 * BLOCK, 5), [2; 5]);
}

/// The write must not pass for written because the flush has written what was there before.
#[test]
fn a_write_during_a_flush_is_not_taken_for_flushed() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    chain.write(&*disk, 0, &[1; BLOCK as usize]);
    chain.bench.run(async {
        let mut flush = pin!(disk.flush().into_future());
        assert!(poll_once(&mut flush).await.is_none());
        assert_eq!(chain.behind.diary(), ["write 65536@0"], "it has begun");
        let write = disk.pwrite(Buf::from(vec![2; 10]), 5, Flags::default()).into_future();
        let (flushed, written) = zip(flush, write).await;
        flushed.and(written).unwrap();
    });
    assert_eq!(chain.read(&*disk, 4, 12), [vec![1], vec![2; 10], vec![1]].concat());
    chain.flush(&*disk).unwrap();
    assert_eq!(chain.behind.bytes(4, 12), [vec![1], vec![2; 10], vec![1]].concat());
}

#[test]
fn after_a_write_through_that_failed_the_disk_behind_is_asked() {
    let chain = Chain::new(&[("cache", "writethrough")]);
    let disk = chain.open();
    chain.cache(&*disk, 0, BLOCK).unwrap();
    chain.behind.fail(false, true);
    assert_eq!(chain.try_write(&*disk, 5, &[1; 10], Flags::default()).unwrap_err().errno(), ENOSPC);
    chain.behind.diary();
    assert_eq!(chain.read(&*disk, 0, 20), untouched(0, 20));
    assert_eq!(chain.behind.diary(), ["read 20@0"]);
}

#[test]
fn what_was_trimmed_is_not_written_any_more() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    chain.write(&*disk, 0, &[1; 3 * BLOCK as usize]);
    chain.cache(&*disk, 3 * BLOCK, BLOCK).unwrap();
    chain.behind.diary();
    chain.bench.run(async { disk.trim(Span::new(100, 3 * BLOCK), Flags::default()).await }).unwrap();
    assert_eq!(chain.behind.diary(), ["trim 196608@100"]);
    assert_eq!(chain.read(&*disk, 0, 100), [1; 100], "not trimmed");
    assert_eq!(chain.read(&*disk, BLOCK, 10), [0; 10]);
    assert_eq!(chain.read(&*disk, 3 * BLOCK + 99, 2), [0, byte(3 * BLOCK + 100)], "not from the cache");
    chain.behind.diary();
    chain.flush(&*disk).unwrap();
    assert_eq!(chain.behind.diary(), ["write 65536@0", "flush"]);

    chain.write(&*disk, 0, &[2; BLOCK as usize]);
    chain.behind.fail(false, true);
    let trim = chain.bench.run(async { disk.trim(Span::new(0, BLOCK), Flags::default()).await });
    assert_eq!(trim.unwrap_err().errno(), ENOSPC);
    assert_eq!(chain.read(&*disk, 0, 10), [2; 10], "a trim that failed has thrown nothing away");
}

#[test]
fn dirty_blocks_are_data() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    let hole = SIZE / 4 * 3;
    let extents = |offset, len| {
        let answer = chain.bench.run(async { disk.extents(Span::new(offset, len), Flags::default()).await });
        answer.unwrap().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(extents(hole, SIZE - hole), [Extent::hole(SIZE - hole)]);
    chain.cache(&*disk, hole, BLOCK).unwrap();
    assert_eq!(extents(hole, SIZE - hole), [Extent::hole(SIZE - hole)], "as it is behind");
    chain.write(&*disk, hole + 2 * BLOCK, &[1; BLOCK as usize]);
    let rest = SIZE - hole - 3 * BLOCK;
    let expected = [Extent::hole(2 * BLOCK), Extent::data(BLOCK), Extent::hole(rest)];
    assert_eq!(extents(hole, SIZE - hole), expected);
    assert_eq!(extents(hole, BLOCK), [Extent::hole(BLOCK)], "no further than is known");
    chain.flush(&*disk).unwrap();
    assert_eq!(extents(hole, SIZE - hole), expected, "as it is behind now");
}
