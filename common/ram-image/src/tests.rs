// SPDX-License-Identifier: BSD-3-Clause
//! Values of `allocator=`, errors at the start, which reads are holes, what is given back.

use super::*;
use nbdkit_plugin::*;
use std::ffi::OsStr;

const PAGE: u64 = PAGE_SIZE as u64;

#[test]
fn allocators_are_read_as_they_are_shown() {
    for (text, allocator) in [
        ("sparse", Allocator::Sparse),
        ("malloc", Allocator::Malloc { mlock: false }),
        ("malloc,mlock=true", Allocator::Malloc { mlock: true }),
        #[cfg(feature = "zstd")]
        ("zstd", Allocator::Zstd),
    ] {
        assert_eq!(Allocator::parse(OsStr::new(text)), Ok(allocator));
        assert_eq!(allocator.show(), text);
    }
    assert_eq!(Allocator::parse(OsStr::new("malloc,mlock=no")), Ok(Allocator::Malloc { mlock: false }));
}

#[test]
fn what_is_no_allocator_is_named() {
    let choices = if cfg!(feature = "zstd") {
        "sparse, malloc[,mlock=BOOL] or zstd"
    } else {
        "sparse or malloc[,mlock=BOOL]"
    };
    for (value, why) in [
        ("tape", "unknown allocator \"tape\""),
        ("malloc,fast=1", "unknown option \"fast=1\" of malloc"),
        ("sparse,x", "sparse has no option \"x\""),
        #[cfg(feature = "zstd")]
        ("zstd,level=3", "zstd has no option \"level=3\""),
        #[cfg(not(feature = "zstd"))]
        ("zstd", "allocator \"zstd\" is not part of this build"),
    ] {
        assert_eq!(Allocator::parse(OsStr::new(value)), Err(format!("{why}, should be {choices}")));
    }
    assert_eq!(
        Allocator::parse(OsStr::new("malloc,mlock=maybe")),
        Err("could not decipher boolean (maybe), should be true or false".to_owned())
    );
}

#[test]
fn more_memory_than_there_can_be_is_an_error_and_not_the_end() {
    for size in [i64::MAX as u64, 7 << 60, 1 << 60] {
        let Err(error) = Image::new(Allocator::Malloc { mlock: false }, size) else { panic!("{size} bytes") };
        assert_eq!(error.errno(), ENOMEM);
        assert!(error.to_string().starts_with("allocator=malloc: not enough memory for size="), "{error}");
        assert!(Image::new(Allocator::Sparse, size).is_ok(), "sparse takes none before it is written");
    }
}

/// The allocators that know of holes.
fn with_holes() -> Vec<Image> {
    let allocators = [
        Allocator::Sparse,
        #[cfg(feature = "zstd")]
        Allocator::Zstd,
    ];
    allocators.into_iter().map(|allocator| Image::new(allocator, 1 << 40).unwrap()).collect()
}

#[test]
fn holes_are_read_as_holes() {
    let pool = Pool::new();
    for image in with_holes() {
        image.write(&[1; 10], 5 * PAGE).unwrap();
        image.write(&[2; 10], 9 * PAGE).unwrap();
        let runs = |offset, len| -> Vec<(bool, u64)> {
            let data = image.read(Span::new(offset, len), &pool).unwrap();
            data.runs().iter().map(|run| (matches!(run, Run::Zero(_)), run.len())).collect()
        };
        assert_eq!(runs(0, 4 * PAGE), [(true, 4 * PAGE)]);
        assert_eq!(runs(5 * PAGE, 4096), [(false, 4096)]);
        assert_eq!(runs(5 * PAGE + 100, 4 * PAGE), [(false, PAGE - 100), (true, 3 * PAGE), (false, 100)]);
        // Less than a page of hole on either side is copied.
        assert_eq!(runs(5 * PAGE - 100, PAGE + 200), [(false, PAGE + 200)]);
        assert_eq!(runs(4 * PAGE, 6 * PAGE), [(true, PAGE), (false, PAGE), (true, 3 * PAGE), (false, PAGE)]);
    }
}

#[test]
fn trimmed_pages_are_given_back() {
    for image in with_holes() {
        image.write(&[1; 100_000], 0).unwrap();
        image.zero(Span::new(10, 100_000 - 10)).unwrap();
        let extents = image.extents(Span::new(0, 1 << 40), false);
        let expected = [
            Extent::data(PAGE),
            Extent::hole(2 * PAGE),
            // Not trimmed to its end.
            Extent::data(PAGE),
            Extent::hole((1 << 40) - 4 * PAGE),
        ];
        assert_eq!(extents.iter().copied().collect::<Vec<_>>(), expected);
        assert_eq!(image.extents(Span::new(5, 1 << 39), true), Extents::data(PAGE - 5));
    }
}

/// Two writers that meet in one page must not undo each other's work between looking it up and putting it in.
#[cfg(feature = "zstd")]
#[test]
fn writers_of_one_page_lose_nothing() {
    let image = Image::new(Allocator::Zstd, PAGE).unwrap();
    let threads = 4;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let image = &image;
            scope.spawn(move || {
                for at in (thread..1024).step_by(threads) {
                    image.write(&[at as u8 | 1], at as u64).unwrap();
                }
            });
        }
    });
    let data = image.read(Span::new(0, 1024), &Pool::new()).unwrap();
    let bytes = futures_lite::future::block_on(data.into_buf(&Pool::new()).into_future()).unwrap();
    assert!((0..1024).all(|at| bytes[at] == at as u8 | 1));
}
