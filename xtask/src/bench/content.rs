// SPDX-License-Identifier: BSD-3-Clause
//! What stands on the disks: every block tells where it belongs and how often it was written.
//!
//! So a read can be judged without keeping a copy: a block from another place, an older block, a block cut in two and
//! a byte turned over all look wrong. The words of a block are a progression; its first word and its step come
//! from the number of the block and its generation.

use std::array;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Bytes of a block.
pub const BLOCK: usize = 4096;
/// Bytes made or compared at once.
const LINE: usize = 64;

/// How closely a read is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The first and the last 16 bytes of each block: cheap enough for every read.
    Ends,
    /// Every byte.
    Whole,
}

/// What a disk should hold. Block `n` was written `generations[n]` times; a block never written is zeroes.
pub struct Content {
    generations: Vec<AtomicU32>,
}

impl Content {
    /// A disk of `size` bytes, a multiple of [`BLOCK`], that was never written.
    pub fn new(size: u64) -> Content {
        let blocks = size / BLOCK as u64;
        Content { generations: (0..blocks).map(|_| AtomicU32::new(0)).collect() }
    }

    /// Bytes of the disk.
    pub fn size(&self) -> u64 {
        self.generations.len() as u64 * BLOCK as u64
    }

    /// Makes `payload` the next generation of the blocks from `offset` on. Both are whole blocks.
    pub fn write(&self, offset: u64, payload: &mut [u8]) {
        for (number, block) in (offset / BLOCK as u64..).zip(payload.chunks_exact_mut(BLOCK)) {
            let Some(generation) = self.generations.get(number as usize) else { return };
            Pattern::of(number, generation.fetch_add(1, Relaxed) + 1).fill(block);
        }
    }

    /// Judges bytes read from `offset` on, all of one block.
    ///
    /// # Errors
    /// Which byte is wrong, what it is and what it should be.
    pub fn check(&self, offset: u64, bytes: &[u8], look: Look) -> Result<(), String> {
        let number = offset / BLOCK as u64;
        let Some(generation) = self.generations.get(number as usize) else {
            return Err(format!("data at {offset}, past the end of the disk"));
        };
        let pattern = Pattern::of(number, generation.load(Relaxed));
        let passes = match look {
            Look::Ends => Pattern::is_ends,
            Look::Whole => Pattern::is_all,
        };
        if bytes.len() == BLOCK && passes(pattern, bytes) {
            return Ok(());
        }
        let mut right = [0; BLOCK];
        pattern.fill(&mut right);
        let first = (offset % BLOCK as u64) as usize;
        let wrong = bytes.iter().zip(right.iter().skip(first)).position(|(is, should)| is != should);
        match wrong {
            None => Ok(()),
            Some(at) => Err(format!(
                "wrong data at {}: {:#04x} where {:#04x} was written",
                offset + at as u64,
                bytes[at],
                right[first + at]
            )),
        }
    }
}

/// The words of one generation of one block: `first`, `first + step`, `first + 2 * step`, ...
#[derive(Clone, Copy)]
struct Pattern {
    first: u64,
    step: u64,
}

impl Pattern {
    fn of(number: u64, generation: u32) -> Pattern {
        if generation == 0 {
            return Pattern { first: 0, step: 0 };
        }
        let first = mix(number << 24 ^ u64::from(generation));
        // Odd, so that no word of the block repeats.
        Pattern { first, step: mix(first) | 1 }
    }

    fn word(self, index: usize) -> u64 {
        self.first.wrapping_add(self.step.wrapping_mul(index as u64))
    }

    fn fill(self, block: &mut [u8]) {
        let (mut words, step) = self.line();
        for bytes in block.chunks_exact_mut(LINE) {
            for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact_mut(8)) {
                bytes.copy_from_slice(&word.to_le_bytes());
                *word = word.wrapping_add(step);
            }
        }
    }

    fn is_all(self, block: &[u8]) -> bool {
        let (mut words, step) = self.line();
        block.chunks_exact(LINE).all(|bytes| {
            let same =
                words.iter().zip(bytes.chunks_exact(8)).all(|(word, bytes)| bytes == word.to_le_bytes());
            words = words.map(|word| word.wrapping_add(step));
            same
        })
    }

    fn is_ends(self, block: &[u8]) -> bool {
        let last = BLOCK / 8 - 1;
        let is = |index: usize| block[index * 8..index * 8 + 8] == self.word(index).to_le_bytes();
        is(0) && is(1) && is(last - 1) && is(last)
    }

    /// The first words, as many as the compiler can make vectors of, and the step to the next as many.
    fn line(self) -> ([u64; LINE / 8], u64) {
        (array::from_fn(|index| self.word(index)), self.step.wrapping_mul(LINE as u64 / 8))
    }
}

/// Spreads the bits of `x` (the finisher of splitmix64).
fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(content: &Content, offset: u64) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK];
        content.write(offset, &mut bytes);
        bytes
    }

    #[test]
    fn what_was_written_is_right() {
        let content = Content::new(1 << 20);
        let bytes = written(&content, 8192);
        for look in [Look::Ends, Look::Whole] {
            content.check(8192, &bytes, look).unwrap();
        }
        content.check(8192 + 100, &bytes[100..200], Look::Ends).unwrap();
        content.check(0, &[0; BLOCK], Look::Whole).unwrap();
    }

    #[test]
    fn one_wrong_byte_is_found() {
        let content = Content::new(1 << 20);
        let mut bytes = written(&content, 4096);
        for at in 0..BLOCK {
            bytes[at] ^= 1;
            let why = content.check(4096, &bytes, Look::Whole).unwrap_err();
            assert!(why.starts_with(&format!("wrong data at {}:", 4096 + at)), "{why}");
            let at_an_end = !(16..BLOCK - 16).contains(&at);
            assert_eq!(content.check(4096, &bytes, Look::Ends).is_err(), at_an_end, "byte {at}");
            bytes[at] ^= 1;
        }
        let part = content.check(4096 + 8, &[!bytes[8]], Look::Ends);
        assert!(part.unwrap_err().starts_with("wrong data at 4104:"));
    }

    #[test]
    fn blocks_of_another_place_or_time_are_found() {
        let content = Content::new(1 << 20);
        let old = written(&content, 0);
        content.check(4096, &old, Look::Ends).unwrap_err();
        written(&content, 0);
        content.check(0, &old, Look::Ends).unwrap_err();
        content.check(0, &[0; BLOCK], Look::Ends).unwrap_err();
        content.check(1 << 20, &old, Look::Ends).unwrap_err();
    }
}
