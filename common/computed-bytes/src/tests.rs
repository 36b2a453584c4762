// SPDX-License-Identifier: BSD-3-Clause
//! Any part is the same bytes, and any byte that is wrong is found.

use super::*;

struct Noise;

impl Computed for Noise {
    fn fill(&self, buf: &mut [u8], offset: u64) {
        fill_words(buf, offset, |number| SplitMix64(7).nth(number).to_le_bytes());
    }
}

fn bytes(offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    Noise.fill(&mut bytes, offset);
    bytes
}

#[test]
fn any_part_is_the_same_bytes() {
    let whole = bytes(0, 300);
    let words: Vec<u8> = (0..38).flat_map(|number| SplitMix64(7).nth(number).to_le_bytes()).collect();
    assert_eq!(whole, words[..300]);
    for start in 0..150 {
        for len in 0..40 {
            assert_eq!(bytes(start as u64, len), whole[start..start + len], "{len}@{start}");
        }
    }
    // The end of the largest disk.
    assert_eq!(bytes(i64::MAX as u64 - 3, 3), bytes(i64::MAX as u64 - 7, 7)[4..]);
}

#[test]
fn what_is_written_is_compared() {
    let right = bytes(5003, 10_000);
    assert!(Noise.compare(&right, 5003).is_ok());
    assert!(Noise.compare(&right, 5011).is_err());
    for odd in [0, 1, 4095, 4096, 9999] {
        let mut wrong = right.clone();
        wrong[odd] ^= 0x10;
        let error = Noise.compare(&wrong, 5003).unwrap_err();
        assert_eq!(error.errno(), EIO);
        let (at, byte, want) = (5003 + odd, wrong[odd], right[odd]);
        let text = format!("the byte at offset {at} is {byte:#04x}, should be {want:#04x}");
        assert_eq!(error.to_string(), format!("data written does not match expected: {text}"));
    }
}

#[test]
fn zeroes_are_compared() {
    let whole = Span::new(0, i64::MAX as u64);
    assert_eq!(Noise.compare_zeroes(whole).unwrap_err().errno(), EIO);
    let zero = bytes(0, 5000).iter().position(|byte| *byte == 0).unwrap();
    assert!(Noise.compare_zeroes(Span::new(zero as u64, 1)).is_ok());
    assert!(Noise.compare_zeroes(Span::new(zero as u64, 2)).is_err());
    assert!(Noise.compare_zeroes(Span::new(5, 0)).is_ok());
}
