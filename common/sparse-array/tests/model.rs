// SPDX-License-Identifier: BSD-3-Clause
//! The array against a plain model, at the ends of its range, and under many threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nbdkit_sparse_array::{Extent, OutOfMemory, PAGE_SIZE, SparseArray};
use proptest::collection::vec;
use proptest::prelude::*;

const PAGE: u64 = PAGE_SIZE as u64;
const DISK_MAX: u64 = i64::MAX as u64;

#[derive(Debug, Clone)]
enum Action {
    Write(u64, usize, u8),
    Zero(u64, u64),
    Read(u64, usize),
    Extents(u64, u64),
}

/// Bytes the model keeps, across the border of two directory leaves (512 pages each).
const WINDOW: u64 = 6 * PAGE;
const BASES: [u64; 4] = [0, 510 * PAGE, (1 << 40) - 3 * PAGE, (1 << 63) - WINDOW];

/// An offset in the window; page borders are likelier than chance would have them.
fn offset() -> impl Strategy<Value = u64> {
    let near =
        (0..=6u64, -2..=2i64).prop_map(|(page, by)| (page * PAGE).saturating_add_signed(by).min(WINDOW));
    prop_oneof![0..=WINDOW, near]
}

fn action() -> impl Strategy<Value = Action> {
    let range = (offset(), offset()).prop_map(|(a, b)| (a.min(b), a.abs_diff(b)));
    (range, any::<u8>(), 0..4).prop_map(|((at, len), byte, kind)| match kind {
        0 => Action::Write(at, len as usize, byte),
        1 => Action::Zero(at, len),
        2 => Action::Read(at, len as usize),
        _ => Action::Extents(at, len),
    })
}

proptest! {
    #[test]
    fn behaves_like_a_vec(base in proptest::sample::select(&BASES[..]), actions in vec(action(), 1..40)) {
        let array = SparseArray::new();
        let mut bytes = vec![0; WINDOW as usize];
        let mut pages = [false; 6];
        for action in actions {
            match action {
                Action::Write(at, len, byte) => {
                    let data: Vec<u8> = (0..len).map(|n| byte.wrapping_add((n % 251) as u8)).collect();
                    array.write(&data, base + at).unwrap();
                    bytes[at as usize..][..len].copy_from_slice(&data);
                    touched(at, len as u64).for_each(|page| pages[page] = true);
                }
                Action::Zero(at, len) => {
                    array.zero(base + at, len);
                    bytes[at as usize..][..len as usize].fill(0);
                    let whole = at.div_ceil(PAGE) as usize..((at + len) / PAGE) as usize;
                    whole.for_each(|page| pages[page] = false);
                }
                Action::Read(at, len) => {
                    let mut buf = vec![0xaa; len];
                    array.read(&mut buf, base + at);
                    prop_assert!(buf == bytes[at as usize..][..len]);
                }
                Action::Extents(at, len) => {
                    let found: Vec<Extent> = array.extents(base + at, len).collect();
                    prop_assert_eq!(found, runs(&pages, base, at, len));
                    let hole = !touched(at, len).any(|page| pages[page]);
                    prop_assert_eq!(array.is_hole(base + at, len), hole);
                }
            }
            prop_assert_eq!(array.allocated(), pages.iter().filter(|page| **page).count() as u64 * PAGE);
        }
    }
}

fn touched(at: u64, len: u64) -> std::ops::Range<usize> {
    if len == 0 { 0..0 } else { (at / PAGE) as usize..(at + len).div_ceil(PAGE) as usize }
}

/// The extents, the slow way: page by page, then merged.
fn runs(pages: &[bool], base: u64, at: u64, len: u64) -> Vec<Extent> {
    let mut runs: Vec<Extent> = Vec::new();
    for page in touched(at, len) {
        let (start, end) = ((page as u64 * PAGE).max(at), ((page as u64 + 1) * PAGE).min(at + len));
        match runs.last_mut() {
            Some(run) if run.allocated == pages[page] => run.len += end - start,
            _ => runs.push(Extent { offset: base + start, len: end - start, allocated: pages[page] }),
        }
    }
    runs
}

fn bytes_at(array: &SparseArray, offset: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xaa; len];
    array.read(&mut buf, offset);
    buf
}

#[test]
fn pages_far_apart_do_not_meet() {
    // Offsets that differ in one bit only: each must have a page of its own, at every level of the tree.
    let array = SparseArray::new();
    let offsets: Vec<u64> = std::iter::once(0).chain((15..64).map(|bit| 1 << bit)).collect();
    for (n, offset) in offsets.iter().enumerate() {
        array.write(&[n as u8 + 1], *offset).unwrap();
    }
    for (n, offset) in offsets.iter().enumerate() {
        assert_eq!(bytes_at(&array, *offset, 2), [n as u8 + 1, 0], "at {offset:#x}");
    }
    assert_eq!(array.allocated(), offsets.len() as u64 * PAGE);
    let allocated: u64 = array.extents(0, u64::MAX).filter(|run| run.allocated).map(|run| run.len).sum();
    assert_eq!(allocated, array.allocated());
}

#[test]
fn the_last_bytes_of_the_largest_disk() {
    let array = SparseArray::new();
    array.write(b"end", DISK_MAX - 3).unwrap();
    assert_eq!(bytes_at(&array, DISK_MAX - 4, 4), b"\0end");
    let last = Extent { offset: DISK_MAX - (PAGE - 1), len: PAGE - 1, allocated: true };
    assert_eq!(array.extents(0, DISK_MAX).last(), Some(last));
    array.zero(DISK_MAX - 2, 2);
    assert_eq!(bytes_at(&array, DISK_MAX - 4, 4), b"\0e\0\0");
}

#[test]
fn past_the_end_of_the_array() {
    let array = SparseArray::new();
    assert_eq!(array.write(b"xy", u64::MAX - 1), Err(OutOfMemory));
    assert_eq!(array.allocated(), 0);
    array.write(b"x", u64::MAX - 1).unwrap();
    assert_eq!(bytes_at(&array, u64::MAX - 1, 3), b"x\0\0");
    assert_eq!(bytes_at(&array, u64::MAX, 3), [0; 3]);
    array.zero(u64::MAX - PAGE, u64::MAX);
    assert_eq!(bytes_at(&array, u64::MAX - 1, 1), b"\0");
    assert_eq!(array.extents(u64::MAX - 5, u64::MAX).map(|run| run.len).sum::<u64>(), 5);
}

#[test]
fn giant_ranges_cost_only_what_is_in_them() {
    // Any walk by page number would take years here.
    let array = SparseArray::new();
    assert!(array.is_hole(0, u64::MAX));
    array.zero(0, u64::MAX);
    assert_eq!(
        array.extents(7, DISK_MAX).collect::<Vec<_>>(),
        [Extent { offset: 7, len: DISK_MAX, allocated: false }]
    );

    for power in 20..63 {
        array.write(&[1; 2 * PAGE_SIZE], 1 << power).unwrap();
    }
    assert!(!array.is_hole(0, u64::MAX));
    assert!(array.is_hole((1 << 62) + 2 * PAGE, 1 << 62));
    let runs: Vec<Extent> = array.extents(0, DISK_MAX).collect();
    assert_eq!(runs.len(), 2 * 43 + 1);
    assert!(runs.windows(2).all(|pair| pair[0].offset + pair[0].len == pair[1].offset));
    assert!(runs.iter().filter(|run| run.allocated).all(|run| run.len == 2 * PAGE));

    array.zero((1 << 20) + PAGE, (1 << 62) - (1 << 20)); // all but one page of the first, the last half gone
    assert_eq!(array.allocated(), 2 * PAGE);
    assert_eq!(
        array.extents(0, DISK_MAX).filter(|run| run.allocated).map(|run| run.offset).collect::<Vec<_>>(),
        [1 << 20, (1 << 62) + PAGE]
    );
}

#[test]
fn overlapping_writers_and_readers() {
    // Every writer fills spans with its own byte. Within a page a read must see one writer's byte only (or
    // zero), and afterwards the bits that say what is allocated must agree with the pages.
    let array = SparseArray::new();
    let (writers, rounds, window) = (4, 2000u64, 5 * PAGE);
    let barrier = Barrier::new(writers + 2);
    thread::scope(|scope| {
        for writer in 1..=writers as u64 {
            let (array, barrier) = (&array, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for round in 0..rounds {
                    let page = (round * 7 + writer * 3) % 4;
                    if round % 5 == writer % 5 {
                        array.zero(page * PAGE, 2 * PAGE);
                    } else {
                        array.write(&[writer as u8; 2 * PAGE_SIZE], page * PAGE).unwrap();
                    }
                }
            });
        }
        for reader in 0..2 {
            let (array, barrier) = (&array, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let mut buf = vec![0; PAGE_SIZE];
                for round in 0..rounds {
                    array.read(&mut buf, (round + reader) % 5 * PAGE);
                    assert!(buf.iter().all(|byte| *byte == buf[0]), "a page half written");
                    assert!(array.extents(0, window).map(|run| run.len).sum::<u64>() == window);
                }
            });
        }
    });
    for run in array.extents(0, window) {
        for page in run.offset / PAGE..(run.offset + run.len) / PAGE {
            assert_eq!(bytes_at(&array, page * PAGE, 1)[0] != 0, run.allocated);
        }
    }
    array.zero(0, window);
    assert_eq!(array.allocated(), 0);
}

#[test]
fn a_page_that_comes_and_goes() {
    // One thread writes the page while another frees it: the bit that says it is there must not stay wrong.
    let array = SparseArray::new();
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let freeing = scope.spawn(|| {
            for _ in 0..10_000 {
                barrier.wait();
                array.zero(0, PAGE);
                barrier.wait();
            }
        });
        let mut wrong = 0;
        for _ in 0..10_000 {
            barrier.wait();
            array.write(b"x", 0).unwrap();
            barrier.wait();
            wrong += i32::from(array.is_hole(0, PAGE) != (bytes_at(&array, 0, 1) == b"\0"));
        }
        freeing.join().unwrap();
        assert_eq!(wrong, 0, "of 10000 times");
    });
    // And runs are never empty, whatever happens meanwhile.
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100_000 {
                array.write(b"x", 0).unwrap();
                array.zero(0, PAGE);
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            for _ in 0..100 {
                assert_eq!(array.extents(0, PAGE).map(|run| run.len).collect::<Vec<_>>(), [PAGE]);
            }
        }
    });
}

#[test]
fn threads_that_make_the_same_tables_lose_nothing() {
    for round in 0..200 {
        let array = SparseArray::new();
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for n in 0..4u64 {
                let (array, barrier) = (&array, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    array.write(&[n as u8 + 1], (round << 50) + n * PAGE).unwrap();
                });
            }
        });
        for n in 0..4u64 {
            assert_eq!(bytes_at(&array, (round << 50) + n * PAGE, 1), [n as u8 + 1]);
        }
        assert_eq!(array.allocated(), 4 * PAGE);
    }
}
