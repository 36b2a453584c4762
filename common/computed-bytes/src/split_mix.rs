// SPDX-License-Identifier: BSD-3-Clause
//! [`SplitMix64`]: random numbers, any of which can be had without those before it.

/// The output of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), which is a
/// counter whose bits are mixed, so that it can start anywhere. Here is the state it starts from.
///
/// The numbers that belong to a state are a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitMix64(pub u64);

/// The odd number next to 2^64 divided by the golden ratio: multiples of it are spread evenly.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix64 {
    /// For a seed. Neighbouring seeds start far from each other.
    pub fn seeded(seed: u32) -> SplitMix64 {
        SplitMix64(mix(seed.into()))
    }

    /// The number at this place, counted from 0.
    #[inline]
    pub fn nth(self, place: u64) -> u64 {
        mix(self.0.wrapping_add(place.wrapping_add(1).wrapping_mul(STEP)))
    }
}

/// Every bit of `n` changes about half of the bits of the result, and no two numbers have the same one.
#[inline]
fn mix(mut n: u64) -> u64 {
    n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_others_publish() {
        let numbers = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        assert_eq!([0, 1, 2].map(|place| SplitMix64(0).nth(place)), numbers);
        // Seed 0 is state 0; others are mixed.
        assert_eq!(SplitMix64::seeded(0), SplitMix64(0));
        assert_ne!(SplitMix64::seeded(1), SplitMix64(1));
        // The last place does not overflow.
        assert_eq!(SplitMix64(5).nth(u64::MAX), mix(5));
    }
}
