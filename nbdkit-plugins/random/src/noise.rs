// SPDX-License-Identifier: BSD-3-Clause
//! [`Noise`]: which byte is at which offset, without looking at those before it.

use nbdkit_plugin::{EIO, Error, Result, Span};

/// The output of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), which is a
/// counter whose bits are mixed, so that it can start anywhere. Here is the state it starts from.
///
/// The bytes that belong to a seed are a promise: change them only with a new version that says so.
#[derive(Clone, Copy)]
pub(crate) struct Noise(u64);

/// The odd number next to 2^64 divided by the golden ratio: multiples of it are spread evenly.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// What is compared at once, in bytes.
const PIECE: usize = 4096;

impl Noise {
    pub(crate) fn new(seed: u32) -> Noise {
        // Neighbouring seeds start far from each other.
        Noise(mix(seed.into()))
    }

    /// The 8 bytes with this number.
    fn word(self, number: u64) -> [u8; 8] {
        mix(self.0.wrapping_add((number + 1).wrapping_mul(STEP))).to_le_bytes()
    }

    /// Fills `buf` with what is at `offset`.
    pub(crate) fn fill(self, buf: &mut [u8], offset: u64) {
        let (mut number, inside) = (offset / 8, (offset % 8) as usize);
        let (head, rest) = buf.split_at_mut(((8 - inside) % 8).min(buf.len()));
        head.copy_from_slice(&self.word(number)[inside..][..head.len()]);
        number += u64::from(inside > 0);
        let mut words = rest.chunks_exact_mut(8);
        for word in &mut words {
            word.copy_from_slice(&self.word(number));
            number += 1;
        }
        let tail = words.into_remainder();
        tail.copy_from_slice(&self.word(number)[..tail.len()]);
    }

    /// Compares `data` to what is at `offset`.
    ///
    /// # Errors
    /// `EIO` when they differ; names the first byte that does.
    pub(crate) fn compare(self, data: &[u8], mut offset: u64) -> Result<()> {
        let mut want = [0; PIECE];
        for piece in data.chunks(PIECE) {
            let want = &mut want[..piece.len()];
            self.fill(want, offset);
            if let Some(odd) = piece.iter().zip(&*want).position(|(byte, want)| byte != want) {
                let (at, byte, want) = (offset + odd as u64, piece[odd], want[odd]);
                return Err(Error::new(
                    EIO,
                    format!(
                        "data written does not match expected: the byte at offset {at} is {byte:#04x}, should be {want:#04x}"
                    ),
                ));
            }
            offset += PIECE as u64;
        }
        Ok(())
    }

    /// Compares zeroes to what is in `span`, which fails within the first few bytes, however long it is.
    ///
    /// # Errors
    /// As [`compare`](Noise::compare).
    pub(crate) fn compare_zeroes(self, span: Span) -> Result<()> {
        (span.offset..span.end()).step_by(PIECE).try_for_each(|at| {
            let len = (span.end() - at).min(PIECE as u64);
            self.compare(&[0; PIECE][..len as usize], at)
        })
    }
}

/// Every bit of `n` changes about half of the bits of the result, and no two numbers have the same one.
fn mix(mut n: u64) -> u64 {
    n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}
