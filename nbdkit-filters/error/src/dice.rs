// SPDX-License-Identifier: BSD-3-Clause
//! [`Dice`]: random numbers that nobody depends on for secrets.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): its state is a counter, so
/// that all connections share one without a lock. Starts somewhere else in every process.
pub(crate) struct Dice(AtomicU64);

impl Default for Dice {
    fn default() -> Dice {
        // The standard library takes the keys of its hashers from the system.
        Dice(AtomicU64::new(RandomState::new().hash_one(())))
    }
}

impl Dice {
    /// At least 0 and less than 1.
    pub(crate) fn roll(&self) -> f64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The upper 53 bits: as many as an f64 holds exactly.
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_evenly() {
        let dice = Dice(AtomicU64::new(1));
        let mut tenths = [0u32; 10];
        for _ in 0..100_000 {
            let roll = dice.roll();
            assert!((0.0..1.0).contains(&roll));
            tenths[(roll * 10.0) as usize] += 1;
        }
        // 5 standard deviations are 475.
        assert!(tenths.iter().all(|n| (9500..10500).contains(n)), "{tenths:?}");
    }

    #[test]
    fn every_process_has_its_own() {
        assert_ne!(Dice::default().roll(), Dice::default().roll());
    }
}
