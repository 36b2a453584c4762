// SPDX-License-Identifier: BSD-3-Clause
//! Requests as long as 32 bits can say, and longer: rounding them to blocks must not overflow, and what disks tell of
//! 4 GiB and more at once must not be taken for less.

use super::{Chain, NONE, Strict};
use nbdkit_filter::*;

const G4: u64 = 1 << 32;
const SIZE: u64 = 3 * G4 + 100;

const LONGEST: [u64; 6] = [G4 - 65537, G4 - 513, G4 - 2, G4 - 1, G4, G4 + 1];
const OFFSETS: [u64; 6] = [0, 1, 511, 65535, 65536, G4 - 1];

/// What `span` means for blocks of each size: a chain, and the limit on lengths.
fn each(mut run: impl FnMut(&Chain, &Arc<dyn Disk>, Span)) {
    for minblock in ["1", "512", "65536"] {
        let chain = Chain::new(Strict::new(SIZE, minblock.parse().unwrap()), &[("minblock", minblock)]);
        let disk = chain.open();
        for offset in OFFSETS {
            for len in LONGEST {
                run(&chain, &disk, Span::new(offset, len));
            }
        }
    }
}

/// The spans of those requests whose names begin so.
fn spans(asked: &[String], name: &str) -> Vec<Span> {
    let of = asked.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.split_once('@'));
    of.map(|(len, offset)| Span::new(offset.parse().unwrap(), len.parse().unwrap())).collect()
}

/// They follow each other without gaps; the whole of them.
fn joined(spans: &[Span]) -> Span {
    let (first, last) = (spans[0], spans[spans.len() - 1]);
    for pair in spans.windows(2) {
        assert_eq!(pair[0].end(), pair[1].offset);
    }
    Span::new(first.offset, last.end() - first.offset)
}

#[test]
fn all_of_it_is_zeroed() {
    each(|chain, disk, span| {
        let asked = chain.asked(disk.zero(span, NONE));
        let (writes, zeroes) = (spans(&asked, "write"), spans(&asked, "zero"));
        let mut all = [writes, zeroes].concat();
        all.sort_by_key(|span| span.offset);
        let (all, minblock) = (joined(&all), chain.strict.minimum);
        assert!(all.offset <= span.offset && span.end() <= all.end(), "{span:?}: {asked:?}");
        assert!(all.len < span.len + 2 * minblock, "{span:?}: {asked:?}");
    });
}

#[test]
fn no_more_than_it_is_trimmed() {
    each(|chain, disk, span| {
        let trimmed = joined(&spans(&chain.asked(disk.trim(span, NONE)), "trim"));
        assert!(span.offset <= trimmed.offset && trimmed.end() <= span.end(), "{span:?}: {trimmed:?}");
        assert!(span.len < trimmed.len + 2 * chain.strict.minimum, "{span:?}: {trimmed:?}");
    });
}

#[test]
fn all_of_it_is_cached() {
    each(|chain, disk, span| {
        let cached = joined(&spans(&chain.asked(disk.cache(span)), "cache"));
        assert!(cached.offset <= span.offset && span.end() <= cached.end(), "{span:?}: {cached:?}");
    });
}

#[test]
fn block_status_goes_on_beyond_4g() {
    each(|chain, disk, span| {
        for flags in [NONE, Flags { req_one: true, ..NONE }] {
            let extents = chain.bench.run(async { disk.extents(span, flags).await }).unwrap();
            let end = chain.strict.size / chain.strict.minimum * chain.strict.minimum;
            assert_eq!(extents, Extents::hole(end - span.offset), "{span:?}");
        }
    });
}

/// What lies in front of the span is cut off; what was not said of its first block is taken for data.
#[test]
fn block_status_begins_where_it_was_asked_for() {
    for (extent, expected) in [
        (u64::MAX, vec![Extent::data(412), Extent::hole(99_840 - 1024), Extent::data(512)]),
        (1024, vec![Extent::data(412), Extent::hole(512)]),
        (512, vec![Extent::data(412)]),
        (100, vec![Extent::data(412)]),
    ] {
        let chain = Chain::new(Strict { extent, ..Strict::default() }, &[("minblock", "512")]);
        let disk = chain.open();
        let write = |at| disk.pwrite(Buf::from(vec![1]), at, NONE);
        chain.bench.run(async { (write(0).await.unwrap(), write(99_839).await.unwrap()) });
        let span = Span::new(100, 99_740);
        let extents = chain.bench.run(async { disk.extents(span, NONE).await }).unwrap();
        assert_eq!(extents.iter().copied().collect::<Vec<_>>(), expected, "{extent}");
    }
}

/// The disk behind may tell of less than a block, and the one extent that is wanted begins behind that.
#[test]
fn one_extent_is_one_that_tells_something() {
    let chain = Chain::new(Strict::default(), &[("minblock", "4k")]);
    let disk = chain.open();
    let one = Flags { req_one: true, ..NONE };
    let extents =
        |offset| chain.bench.run(async { disk.extents(Span::new(offset, 4096), one).await }).unwrap();
    chain.bench.run(async { disk.pwrite(Buf::from(vec![1]), 0, NONE).await }).unwrap();
    assert_eq!(extents(0), Extents::data(512));
    assert_eq!(extents(1000), Extents::hole(8192 - 1000));
}

#[test]
fn the_last_byte_is_reached() {
    let chain = Chain::new(Strict::new(SIZE, 65536), &[("minblock", "64k")]);
    let disk = chain.open();
    let last = disk.info().size - 1;
    assert_eq!(chain.asked(disk.pread(1, last)), [format!("read 65536@{}", last - 65535)]);
    assert_eq!(chain.asked(disk.zero(Span::new(last, 1), NONE)).len(), 2);
    let all = joined(&spans(&chain.asked(disk.trim(Span::new(0, last + 1), NONE)), "trim"));
    assert_eq!(all, Span::new(0, last + 1));
}
