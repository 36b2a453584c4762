// SPDX-License-Identifier: BSD-3-Clause
//! What is this plugin's own: the bytes of a seed, and that writes are compared to them.

use super::*;
use nbdkit_computed_bytes::Computed;
use nbdkit_plugin::conformance::{Content, Kit};

fn bytes(seed: u32, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    Noise::new(seed).fill(&mut bytes, offset);
    bytes
}

#[test]
fn a_seed_always_means_the_same_bytes() {
    // Seed 0 is state 0, for which others publish the same first numbers.
    let numbers = [0xe220_a839_7b1d_cdaf_u64, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
    assert_eq!(bytes(0, 0, 24), numbers.map(u64::to_le_bytes).concat());
    // Another seed, far away, in the first version.
    assert_eq!(bytes(1, 1 << 40, 8), [134, 167, 209, 244, 72, 142, 140, 253]);
}

#[test]
fn any_part_is_the_same_bytes() {
    let whole = bytes(7, 0, 300);
    for start in 0..150 {
        for len in 0..40 {
            assert_eq!(bytes(7, start as u64, len), whole[start..start + len], "{len}@{start}");
        }
    }
    assert_ne!(bytes(8, 0, 300), whole);
}

#[test]
fn all_bytes_are_equally_frequent() {
    let mut counts = [0u32; 256];
    bytes(1, 0, 1 << 20).iter().for_each(|byte| counts[*byte as usize] += 1);
    // 4096 of each are expected, with a standard deviation of 64.
    assert!(counts.iter().all(|count| (3700..4500).contains(count)), "{counts:?}");
}

#[test]
fn writes_are_compared() {
    let noise = Noise::new(7);
    let right = bytes(7, 5003, 10_000);
    assert!(noise.compare(&right, 5003).is_ok());
    assert!(noise.compare(&right, 5011).is_err());
    for odd in [0, 1, 4095, 4096, 9999] {
        let mut wrong = right.clone();
        wrong[odd] ^= 0x10;
        let error = noise.compare(&wrong, 5003).unwrap_err();
        assert_eq!(error.errno(), EIO);
        let (at, byte, want) = (5003 + odd, wrong[odd], right[odd]);
        assert_eq!(
            error.to_string(),
            format!(
                "data written does not match expected: the byte at offset {at} is {byte:#04x}, should be {want:#04x}"
            )
        );
    }
}

#[test]
fn zeroes_are_compared_too() {
    let disk = RandomDisk::new(i64::MAX as u64, Noise::new(7), false, Pool::new());
    let whole = Span::new(0, i64::MAX as u64);
    for op in [disk.zero(whole, Flags::default()), disk.trim(whole, Flags::default())] {
        assert!(matches!(op, Op::Ready(Err(error)) if error.errno() == EIO));
    }
    // Where a byte happens to be zero, all is well.
    let zero = bytes(7, 0, 5000).iter().position(|byte| *byte == 0).unwrap();
    assert!(matches!(disk.zero(Span::new(zero as u64, 1), Flags::default()), Op::Ready(Ok(()))));
}

#[test]
fn without_a_seed_every_start_has_its_own() {
    let seeds: Vec<u32> = (0..9)
        .map(|_| {
            let mut plugin = Random::default();
            plugin.get_ready().unwrap();
            plugin.seed
        })
        .collect();
    assert!(seeds.iter().any(|seed| *seed != seeds[0]), "{seeds:?}");

    let mut plugin = Random::default();
    plugin.config("seed", "0x10".as_ref()).unwrap();
    plugin.get_ready().unwrap();
    assert_eq!(plugin.seed, 16);
    let error = plugin.config("seed", "4294967296".as_ref()).unwrap_err();
    assert!(error.to_string().ends_with("should be 0 to 4294967295"), "{error}");
}

/// The kit does not know of writes that succeed or fail depending on what they write.
#[test]
fn all_that_is_read_is_as_promised() {
    for size in [0, 1, 1_000_001, 9 << 20, i64::MAX as u64] {
        Kit::disks(move |_, _| Ok(Arc::new(RandomDisk::new(size, Noise::new(3), true, Pool::new()))))
            .size(size)
            .content(Content::Rule(|offset| bytes(3, offset, 1)[0]))
            .run();
    }
}
