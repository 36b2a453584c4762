// SPDX-License-Identifier: BSD-3-Clause
//! [`Bucket`]: tokens drip into it at a steady rate, and whoever wants to pass takes some out. No clock of its own.

use crate::values::Rate;
use std::time::{Duration, Instant};

/// A token is a bit.
pub(crate) struct Bucket {
    /// `None`: no limit.
    rate: Option<Rate>,
    burst: Duration,
    level: f64,
    filled: Instant,
}

/// Those who wait take turns; a turn is as much as comes in this time. A small request does not wait for a large one.
const TURN: Duration = Duration::from_millis(50);

impl Bucket {
    /// Full: who comes after a pause may go ahead.
    pub(crate) fn new(rate: Option<Rate>, burst: Duration, now: Instant) -> Bucket {
        let mut bucket = Bucket { rate, burst, level: 0.0, filled: now };
        bucket.level = bucket.capacity();
        bucket
    }

    /// Another rate from now on.
    pub(crate) fn set_rate(&mut self, rate: Option<Rate>, now: Instant) {
        self.fill(now);
        let limited = self.rate.is_some();
        self.rate = rate;
        self.level = if limited { self.level.min(self.capacity()) } else { self.capacity() };
    }

    pub(crate) fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// How many whole tokens are in it.
    pub(crate) fn level(&self) -> u64 {
        self.level as u64
    }

    /// Takes all of `bits`, or nothing.
    pub(crate) fn take_all(&mut self, bits: u64, now: Instant) -> bool {
        self.fill(now);
        let enough = self.rate.is_none() || self.level >= bits as f64;
        if enough {
            self.take(bits, now);
        }
        enough
    }

    /// Takes as many of `bits` as there are, and says how many.
    pub(crate) fn take(&mut self, bits: u64, now: Instant) -> u64 {
        self.fill(now);
        if self.rate.is_none() {
            return bits;
        }
        // Whole tokens; what is left of one stays. A float as large as this rounds towards zero.
        let taken = bits.min(self.level as u64);
        self.level -= taken as f64;
        taken
    }

    pub(crate) fn give_back(&mut self, bits: u64) {
        if self.rate.is_some() {
            self.level = (self.level + bits as f64).min(self.capacity());
        }
    }

    /// How long one who wants `bits` waits until its next turn.
    pub(crate) fn next_turn(&self, bits: u64) -> Duration {
        let Some(rate) = self.bits_per_second() else { return Duration::ZERO };
        let turn = (rate * TURN.as_secs_f64()).max(1.0).min(bits as f64);
        let seconds = (turn - self.level).max(0.0) / rate;
        // At a rate of 1 a token takes a second, so this is always small; rounded up, or it would be too early.
        Duration::from_secs_f64(seconds).saturating_add(Duration::from_nanos(1))
    }

    fn bits_per_second(&self) -> Option<f64> {
        self.rate.map(|Rate(rate)| rate.get() as f64)
    }

    /// What fits in: at least a turn, or nobody would ever have one.
    fn capacity(&self) -> f64 {
        let rate = self.bits_per_second().unwrap_or_default();
        (rate * self.burst.max(TURN).as_secs_f64()).max(1.0)
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled);
        self.filled = self.filled.max(now);
        let rate = self.bits_per_second().unwrap_or_default();
        self.level = (self.level + rate * passed.as_secs_f64()).min(self.capacity());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    fn rate(bits: u64) -> Option<Rate> {
        NonZeroU64::new(bits).map(Rate)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn begins_full_and_is_never_fuller() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(100), 2 * SECOND, start);
        assert!(!bucket.take_all(201, start), "too much at once");
        assert!(bucket.take_all(200, start));
        assert_eq!(bucket.take(1, start), 0);
        assert_eq!(bucket.take(1000, start + SECOND), 100);
        assert_eq!(bucket.take(1000, start + 100 * SECOND), 200);
    }

    #[test]
    fn over_time_no_more_than_the_rate_passes() {
        let start = Instant::now();
        for bits in [1, 7, 1000, 1 << 20, 1 << 40] {
            let mut bucket = Bucket::new(rate(bits), Duration::ZERO, start);
            let first = bucket.take(u64::MAX, start);
            let (mut now, mut passed) = (start, 0u64);
            while now < start + 20 * SECOND {
                now += bucket.next_turn(u64::MAX);
                let taken = bucket.take(u64::MAX, now);
                assert!(taken > 0, "a turn that brings nothing, at {bits}");
                passed = passed.saturating_add(taken);
            }
            let seconds = (now - start).as_secs_f64();
            let most = bits as f64 * seconds + 2.0;
            assert!(passed as f64 <= most * 1.000_001, "{passed} in {seconds} s at {bits}");
            assert!(passed as f64 >= most * 0.99 - 4.0, "{passed} in {seconds} s at {bits}");
            assert!(first as f64 <= (bits as f64).max(1.0));
        }
    }

    #[test]
    fn a_turn_is_short_and_no_longer_than_needed() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(1000), Duration::ZERO, start);
        bucket.take(u64::MAX, start);
        assert!(bucket.next_turn(u64::MAX) <= TURN + Duration::from_millis(1));
        assert!(bucket.next_turn(1) <= Duration::from_millis(2));
    }

    #[test]
    fn the_rate_can_change() {
        let start = Instant::now();
        let mut bucket = Bucket::new(None, SECOND, start);
        assert!(bucket.take_all(u64::MAX, start));
        bucket.set_rate(rate(10), start);
        assert!(bucket.take_all(10, start), "as full as at the beginning");
        assert_eq!(bucket.take(100, start + SECOND), 10);
        bucket.set_rate(rate(1000), start + SECOND);
        assert_eq!(bucket.take(5000, start + 2 * SECOND), 1000);
        bucket.set_rate(rate(10), start + 3 * SECOND);
        assert_eq!(bucket.take(5000, start + 3 * SECOND), 10, "what was saved up fits no more");
        bucket.set_rate(None, start + 3 * SECOND);
        assert_eq!(bucket.take(5000, start + 3 * SECOND), 5000);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(100), SECOND, start);
        assert!(bucket.take_all(100, start));
        bucket.give_back(60);
        assert!(!bucket.take_all(61, start) && bucket.take_all(60, start));
        bucket.give_back(1000);
        assert!(bucket.take_all(100, start) && !bucket.take_all(1, start));
    }

    #[test]
    fn a_clock_that_stands_still_gives_nothing() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(1 << 30), Duration::ZERO, start + SECOND);
        bucket.take(u64::MAX, start + SECOND);
        assert_eq!(bucket.take(1, start), 0, "nor one that goes back");
        assert_eq!(bucket.take(1, start + SECOND), 0);
    }
}
