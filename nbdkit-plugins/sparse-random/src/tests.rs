// SPDX-License-Identifier: BSD-3-Clause
//! What is this plugin's own: the bytes of a seed, how much data there is and how long its stretches are, and that
//! writes are compared.

use super::*;
use nbdkit_computed_bytes::Computed;
use nbdkit_plugin::conformance::{Content, Kit};
use std::ffi::OsStr;

const MIB: u64 = 1 << 20;

fn image(size: u64, params: &[(&str, &str)]) -> Image {
    let mut plugin = SparseRandom::default();
    let size = ("size", &*size.to_string());
    for (key, value) in [size, ("seed", "7")].iter().chain(params) {
        plugin.config(key, OsStr::new(value)).unwrap();
    }
    plugin.get_ready().unwrap();
    plugin.image()
}

fn bytes(image: &Image, offset: u64, len: u64) -> Vec<u8> {
    let pool = Pool::new();
    let mut bytes = Vec::new();
    for run in image.read(Span::new(offset, len), &pool).runs() {
        match run {
            Run::Bytes(buf) => bytes.extend_from_slice(buf),
            Run::Zero(len) => bytes.resize(bytes.len() + *len as usize, 0),
            Run::File(_) => panic!("there is no file"),
        }
    }
    bytes
}

/// All extents of a disk.
fn extents(image: &Image, size: u64) -> Vec<Extent> {
    let (mut all, mut at) = (Extents::new(), 0);
    while at < size {
        let some = image.extents(Span::new(at, size - at), false);
        at += some.len();
        some.into_iter().for_each(|extent| all.push(extent));
    }
    all.into_iter().collect()
}

#[test]
fn a_seed_always_means_the_same_disk() {
    // The first version.
    let repeated = image(MIB, &[("runlength", "8k")]);
    let first: Vec<(u64, bool)> =
        extents(&repeated, MIB).iter().take(4).map(|extent| (extent.len, extent.hole)).collect();
    assert_eq!(first, [(4096, true), (4096, false), (73728, true), (8192, false)]);
    let random = image(MIB, &[("percent", "100"), ("random-content", "true")]);
    assert_eq!(
        (bytes(&repeated, first[0].0, 2), bytes(&random, 0, 4)),
        (vec![166, 166], vec![228, 220, 17, 33])
    );
}

#[test]
fn holes_are_zeroes_and_nothing_else_is() {
    let size = 3 * MIB + 1234;
    for params in [
        &[("runlength", "1"), ("percent", "50")][..],
        &[("runlength", "20k"), ("percent", "30"), ("blocksize", "1024")],
        &[("runlength", "200k"), ("percent", "70")],
        &[("runlength", "200k"), ("percent", "70"), ("random-content", "true"), ("blocksize", "64k")],
        &[("percent", "0")],
        &[("percent", "100")],
    ] {
        let image = image(size, params);
        let block = params.iter().find(|(key, _)| *key == "blocksize");
        let Block(block) = block.map_or(Block(4096), |(_, value)| Block::parse(OsStr::new(value)).unwrap());
        let whole = bytes(&image, 0, size);
        let mut at = 0;
        for extent in extents(&image, size) {
            assert_eq!((extent.hole, at % block), (extent.zero, 0), "{params:?}");
            for piece in whole[at as usize..(at + extent.len) as usize].chunks(block as usize) {
                assert_eq!(extent.hole, piece.iter().all(|byte| *byte == 0), "{params:?}: near {at}");
            }
            at += extent.len;
        }
        // Any part is the same bytes.
        for (offset, len) in [(1, 7), (4095, 2), (100_001, 70_007), (size - 5, 5), (MIB, MIB)] {
            assert_eq!(
                bytes(&image, offset, len),
                whole[offset as usize..(offset + len) as usize],
                "{params:?}: {len}@{offset}"
            );
        }
    }
}

#[test]
fn long_holes_are_read_as_holes_and_short_ones_are_not() {
    let lengths = |run_length: &str| -> Vec<u64> {
        let image = image(4 * MIB, &[("runlength", run_length), ("percent", "50")]);
        let data = image.read(Span::new(0, 4 * MIB), &Pool::new());
        assert_eq!(data.len(), 4 * MIB);
        let zeroes = data.runs().iter().skip(1).filter(|run| matches!(run, Run::Zero(_)));
        zeroes.map(Run::len).collect()
    };
    let long = lengths("100k");
    assert!(long.len() > 5 && long.iter().all(|len| *len >= 32 << 10), "{long:?}");
    assert_eq!(lengths("4k"), []);
}

#[test]
fn as_much_data_in_stretches_as_long_as_was_asked_for() {
    let size = 4 << 30;
    for (percent, run) in [(1, 4096), (10, 65536), (25, 4096), (50, 32768), (75, 300_000), (99, 1 << 20)] {
        let image = image(size, &[("percent", &percent.to_string()), ("runlength", &run.to_string())]);
        let data: Vec<u64> = extents(&image, size)
            .into_iter()
            .filter(|extent| !extent.hole)
            .map(|extent| extent.len)
            .collect();
        let sum: u64 = data.iter().sum();
        let share = sum as f64 / size as f64 * 100.0;
        assert!((share / f64::from(percent) - 1.0).abs() < 0.03, "{percent}: {share}");
        // Where there is much data, neighbours touch.
        let length = sum as f64 / data.len() as f64 / run as f64;
        assert!((0.95..2.5).contains(&length), "{percent}: {run} * {length}");
    }
}

#[test]
fn a_small_disk_has_its_share() {
    for size in [65536, 3 * MIB + 1, 20 * MIB] {
        let of_a_seed = |seed: u64| {
            let image = image(size, &[("seed", &seed.to_string()), ("percent", "20")]);
            let data = extents(&image, size).into_iter().filter(|extent| !extent.hole);
            data.map(|extent| extent.len).sum::<u64>()
        };
        let share = (0..500).map(of_a_seed).sum::<u64>() as f64 / 500.0 / size as f64;
        assert!((0.17..0.23).contains(&share), "{size}: {share}");
    }
}

#[test]
fn the_content_is_one_byte_or_all_random() {
    let block_of = |params: &[(&str, &str)]| {
        let image = image(MIB, &[params, &[("percent", "100")]].concat());
        bytes(&image, 8192, 4096)
    };
    let repeated = block_of(&[]);
    assert!(repeated[0] != 0 && repeated.iter().all(|byte| *byte == repeated[0]));
    let mut counts = [0u32; 256];
    block_of(&[("random-content", "true")]).iter().for_each(|byte| counts[*byte as usize] += 1);
    // 16 of each are expected, with a standard deviation of 4.
    assert!(counts.iter().all(|count| *count < 40), "{counts:?}");
}

#[test]
fn writes_are_compared() {
    let size = 4 * MIB;
    for random in ["true", "false"] {
        let image = image(size, &[("runlength", "50k"), ("percent", "40"), ("random-content", random)]);
        let right = bytes(&image, 5003, 2 * MIB);
        assert!(image.compare(&right, 5003).is_ok());
        for odd in (0..right.len()).step_by(54_321) {
            let mut wrong = right.clone();
            wrong[odd] ^= 0x10;
            let error = image.compare(&wrong, 5003).unwrap_err();
            assert_eq!(error.errno(), EIO);
            let (at, byte, want) = (5003 + odd, wrong[odd], right[odd]);
            assert_eq!(
                error.to_string(),
                format!(
                    "data written does not match expected: the byte at offset {at} is {byte:#04x}, should be {want:#04x}"
                )
            );
        }
        let mut at = 0;
        for extent in extents(&image, size) {
            let span = Span::new(at, extent.len);
            assert_eq!(image.compare_zeroes(span).is_ok(), extent.hole);
            at = span.end();
        }
    }
}

#[test]
fn the_largest_disk_is_described_in_pieces() {
    let size = i64::MAX as u64;
    for params in
        [&[][..], &[("runlength", "1"), ("percent", "50"), ("blocksize", "1k")], &[("percent", "100")]]
    {
        let image = image(size, params);
        let disk = SparseDisk::new(image, size, false, Pool::new());
        for start in [0, size / 3, size - 1] {
            let whole = Span::new(start, size - start);
            for req_one in [false, true] {
                let Op::Ready(Ok(some)) = disk.extents(whole, Flags { req_one, ..Flags::default() }) else {
                    panic!("it has to be known at once");
                };
                assert!(!some.is_empty() && some.count() <= if req_one { 1 } else { 1 << 16 });
            }
        }
        assert!(image.compare_zeroes(Span::new(0, size)).is_err());
    }
    let nothing = image(size, &[("percent", "0")]);
    assert_eq!(nothing.extents(Span::new(0, size), false), Extents::hole(size));
    assert!(nothing.compare_zeroes(Span::new(0, size)).is_ok());
}

#[test]
fn parameters() {
    for (key, value, why) in [
        ("percent", "101", "percent: cannot parse percent parameter: 101: should be 0 to 100"),
        ("percent", "nan", "percent: cannot parse percent parameter: nan: should be 0 to 100"),
        ("percent", "1/2", "percent: cannot parse percent parameter: 1/2: should be 0 to 100"),
        ("runlength", "0", "runlength: runlength parameter must be > 0"),
        ("blocksize", "512", "blocksize: block size is 512, should be a power of 2 from 1024 to 256M"),
        ("blocksize", "5k", "blocksize: block size is 5120, should be a power of 2 from 1024 to 256M"),
        ("blocksize", "512M", "blocksize: block size is 536870912, should be a power of 2 from 1024 to 256M"),
    ] {
        assert_eq!(Params::default().set(key, OsStr::new(value)).unwrap_err().to_string(), why);
    }
    for (text, parts) in [("0", 0), ("100", 1_000_000), ("0.5", 5000), ("10%", 100_000), ("12.5 %", 125_000)]
    {
        assert_eq!(Percent::parse(OsStr::new(text)), Ok(Percent(parts)), "{text}");
    }
    assert_eq!(Percent(5000).show(), "0.5");
}

/// The kit does not know of writes that succeed or fail depending on what they write.
#[test]
fn all_that_is_read_is_as_promised() {
    for (size, params) in [
        (0, &[][..]),
        (1, &[("percent", "100")]),
        (1_000_001, &[("runlength", "10k"), ("percent", "50")]),
        (9 * MIB, &[("runlength", "100k"), ("percent", "30"), ("random-content", "on")]),
        (i64::MAX as u64, &[("runlength", "10k"), ("percent", "50"), ("blocksize", "1k")]),
        (i64::MAX as u64, &[("percent", "0.001")]),
    ] {
        let image = image(size, params);
        Kit::disks(move |_, _| Ok(Arc::new(SparseDisk::new(image, size, true, Pool::new()))))
            .size(size)
            .content(Content::Unknown)
            .run();
    }
}
