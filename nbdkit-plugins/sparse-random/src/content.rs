// SPDX-License-Identifier: BSD-3-Clause
//! [`Content`]: which byte is at which offset, where there is data.

/// The odd number next to 2^64 divided by the golden ratio: multiples of it are spread evenly.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Number `number` of the sequence that `key` stands for: the output of SplitMix64 (Steele, Lea, Flood: "Fast splittable
/// pseudorandom number generators", 2014), which is a counter whose bits are mixed, so that it can start anywhere.
pub(crate) fn draw(key: u64, number: u64) -> u64 {
    let mut n = key.wrapping_add((number + 1).wrapping_mul(STEP));
    n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

#[derive(Clone, Copy)]
pub(crate) struct Content {
    pub(crate) key: u64,
    /// Bytes.
    pub(crate) block: u64,
    /// All bytes are random, and not only one for each block.
    pub(crate) random: bool,
}

impl Content {
    /// Fills `buf` with the data at `offset`.
    pub(crate) fn fill(self, buf: &mut [u8], offset: u64) {
        match self.random {
            true => self.random(buf, offset),
            false => self.repeated(buf, offset),
        }
    }

    /// The same byte all over a block. It is never zero, so that data does not look like a hole.
    fn repeated(self, mut buf: &mut [u8], mut offset: u64) {
        while !buf.is_empty() {
            let left = self.block - offset % self.block;
            let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
            let (block, rest) = buf.split_at_mut(len);
            block.fill(1 + (draw(self.key, offset / self.block) % 255) as u8);
            (buf, offset) = (rest, offset + len as u64);
        }
    }

    fn random(self, buf: &mut [u8], offset: u64) {
        let word = |number| draw(self.key, number).to_le_bytes();
        let (mut number, inside) = (offset / 8, (offset % 8) as usize);
        let (head, rest) = buf.split_at_mut(((8 - inside) % 8).min(buf.len()));
        head.copy_from_slice(&word(number)[inside..][..head.len()]);
        number += u64::from(inside > 0);
        let mut words = rest.chunks_exact_mut(8);
        for bytes in &mut words {
            bytes.copy_from_slice(&word(number));
            number += 1;
        }
        let tail = words.into_remainder();
        tail.copy_from_slice(&word(number)[..tail.len()]);
    }
}
