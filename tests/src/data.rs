// SPDX-License-Identifier: BSD-3-Clause
//! Bytes that can be made again, and sums that tell whether they came through.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes which look random but depend only on `seed` and `len`; every window of eight differs from the next.
pub fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// FNV-1a over 64-bit words: enough to see a changed file, quick in an unoptimised build.
pub fn checksum(path: &Path) -> u64 {
    let mut file = File::open(path).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    loop {
        let n = read_full(&mut file, &mut buffer);
        for word in buffer[..n].chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            sum = (sum ^ u64::from_le_bytes(bytes)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if n < buffer.len() {
            return sum;
        }
    }
}

/// Panics, naming the first differing offset, unless both files hold the same bytes.
#[track_caller]
pub fn assert_same(left: &Path, right: &Path) {
    let shown = format!("{} and {}", left.display(), right.display());
    let (mut left, mut right) = (File::open(left).unwrap(), File::open(right).unwrap());
    assert_eq!(left.metadata().unwrap().len(), right.metadata().unwrap().len(), "sizes of {shown}");
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut offset = 0;
    loop {
        let n = read_full(&mut left, &mut a);
        assert_eq!(n, read_full(&mut right, &mut b), "{shown} end at different places");
        if a[..n] != b[..n] {
            let at = a.iter().zip(&b).position(|(a, b)| a != b).unwrap();
            panic!("{shown} differ first at offset {}", offset + at);
        }
        if n < a.len() {
            return;
        }
        offset += n;
    }
}

/// Panics, naming the first differing offset, unless both hold the same bytes. Does not print them all.
#[track_caller]
pub fn assert_bytes(what: &str, got: &[u8], expected: &[u8]) {
    assert_eq!(got.len(), expected.len(), "{what}: number of bytes");
    if got != expected {
        let at = got.iter().zip(expected).position(|(a, b)| a != b).unwrap();
        panic!("{what}: first difference at {at}: {:#04x}, expected {:#04x}", got[at], expected[at]);
    }
}

fn read_full(file: &mut File, buffer: &mut [u8]) -> usize {
    let mut n = 0;
    while n < buffer.len() {
        match file.read(&mut buffer[n..]).unwrap() {
            0 => break,
            more => n += more,
        }
    }
    n
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_changed_byte_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (left, right) = (dir.path().join("left"), dir.path().join("right"));
        let mut bytes = random(1, (2 << 20) + 3);
        fs::write(&left, &bytes).unwrap();
        fs::write(&right, &bytes).unwrap();
        assert_same(&left, &right);
        assert_eq!(checksum(&left), checksum(&right));
        for at in [0, 1 << 20, bytes.len() - 1] {
            bytes[at] ^= 1;
            fs::write(&right, &bytes).unwrap();
            assert_ne!(checksum(&left), checksum(&right), "offset {at}");
            assert!(std::panic::catch_unwind(|| assert_same(&left, &right)).is_err(), "offset {at}");
            bytes[at] ^= 1;
        }
    }
}
