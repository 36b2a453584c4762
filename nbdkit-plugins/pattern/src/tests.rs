// SPDX-License-Identifier: BSD-3-Clause
//! What is this plugin's own: the bytes, and that writes are compared to them.

use super::*;
use nbdkit_computed_bytes::Computed;
use nbdkit_plugin::conformance::{Content, Kit};
use std::ffi::OsStr;

fn bytes(pattern: Pattern, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    pattern.fill(&mut bytes, offset);
    bytes
}

const PLAIN: Pattern = Pattern { stride: 8, upper: 0 };

#[test]
fn offsets_are_big_endian() {
    assert_eq!(bytes(PLAIN, 0x12340, 16), [0, 0, 0, 0, 0, 1, 0x23, 0x40, 0, 0, 0, 0, 0, 1, 0x23, 0x48]);
    let wide = Pattern { stride: 32, upper: 0xabcd };
    let mut want = [0; 36];
    want[..8].copy_from_slice(&[0xab, 0xcd, 0, 0, 0, 0, 1, 0]);
    want[32..].copy_from_slice(&[0xab, 0xcd, 0, 0]);
    assert_eq!(bytes(wide, 0x100, 36), want);
    // The exclusive or, where the offset has upper bits itself.
    assert_eq!(
        bytes(wide, 0x7fff_ffff_ffff_ffe0, 8),
        [0x7f ^ 0xab, 0xff ^ 0xcd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe0]
    );
}

#[test]
fn any_part_is_the_same_bytes() {
    for pattern in [PLAIN, Pattern { stride: 64, upper: 7 }] {
        let whole = bytes(pattern, 0, 300);
        for start in 0..150 {
            for len in 0..40 {
                assert_eq!(bytes(pattern, start as u64, len), whole[start..start + len], "{len}@{start}");
            }
        }
    }
}

#[test]
fn writes_are_compared() {
    let right = bytes(PLAIN, 5003, 10_000);
    assert!(PLAIN.compare(&right, 5003).is_ok());
    assert!(PLAIN.compare(&right, 5004).is_err());
    for odd in [0, 1, 4095, 4096, 9999] {
        let mut wrong = right.clone();
        wrong[odd] ^= 0x10;
        let error = PLAIN.compare(&wrong, 5003).unwrap_err();
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
fn parameters() {
    for (key, value, why) in [
        ("stride", "4", "stride: stride is 4, should be a power of 2 and at least 8"),
        ("stride", "24", "stride: stride is 24, should be a power of 2 and at least 8"),
        (
            "upper",
            "65536",
            "upper: could not parse number: \"65536\": Numerical result out of range, should be 0 to 65535, or random",
        ),
    ] {
        let error = Params::default().set(key, OsStr::new(value)).unwrap_err();
        assert_eq!(error.to_string(), why);
    }
    let mut params = Params::default();
    for (key, value) in [("stride", "4k"), ("upper", "0xbeef")] {
        params.set(key, OsStr::new(value)).unwrap();
    }
    assert_eq!((params.stride, params.upper), (Stride(4096), Upper(0xbeef)));
    let random: Vec<_> = (0..9).map(|_| Upper::parse(OsStr::new("random")).unwrap()).collect();
    assert!(random.iter().any(|upper| *upper != random[0]), "{random:?}");
}

/// The kit does not know of writes that succeed or fail depending on what they write.
#[test]
fn all_that_is_read_is_as_promised() {
    const PATTERN: Pattern = Pattern { stride: 16, upper: 0x1234 };
    let byte: fn(u64) -> u8 = |offset| PATTERN.byte(offset);
    for size in [0, 1, 1_000_001, 9 << 20, i64::MAX as u64] {
        Kit::disks(move |_, _| Ok(Arc::new(PatternDisk::new(size, PATTERN, true, Pool::new()))))
            .size(size)
            .content(Content::Rule(byte))
            .run();
    }
}

impl Pattern {
    /// The byte at `offset`.
    fn byte(self, offset: u64) -> u8 {
        match offset % self.stride {
            inside @ 0..8 => ((offset - inside) ^ u64::from(self.upper) << 48).to_be_bytes()[inside as usize],
            _ => 0,
        }
    }
}
