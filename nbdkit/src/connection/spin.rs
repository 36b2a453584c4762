// SPDX-License-Identifier: BSD-3-Clause
//! Waiting for the next request without going to sleep, for a moment.
//!
//! A wake-up from idle costs tens of microseconds, more than serving a small request does. A client that sends its next
//! request as soon as it has the last reply is therefore looked for a little longer before the connection parks. It
//! stops by itself where it does not pay, and never keeps more CPUs busy than would be idle.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Longer than a fast client thinks, not much longer than the wake-up it saves.
const MOMENT: Duration = Duration::from_micros(50);
/// After failures as many waits are not looked into, doubling up to this.
const MOST_SKIPPED: u32 = 64;

/// How many connections of the process may spin: one CPU is left for clients.
pub struct Spinners(AtomicUsize);

impl Default for Spinners {
    fn default() -> Self {
        let cpus = thread::available_parallelism().map_or(1, NonZero::get);
        Spinners(AtomicUsize::new(cpus - 1))
    }
}

impl Spinners {
    fn enter(&self) -> Option<Slot<'_>> {
        self.0.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(1)).ok().map(|_| Slot(self))
    }
}

/// One of them.
struct Slot<'s>(&'s Spinners);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Relaxed);
    }
}

/// Whether looking a little longer pays, on one connection.
#[derive(Default)]
pub struct Patience {
    /// Waits not to be looked into.
    skip: u32,
    /// How many that were after the last failure.
    skipped: u32,
}

impl Patience {
    /// Whether this wait is looked into.
    fn tries(&mut self) -> bool {
        let tries = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        tries
    }

    fn learn(&mut self, paid: bool) {
        self.skipped = if paid { 0 } else { (self.skipped * 2).clamp(1, MOST_SKIPPED) };
        self.skip = self.skipped;
    }
}

/// True as soon as `look` finds something; false when the moment is over. It is short enough to keep the thread for
/// itself: giving way to other tasks would wake another thread each time, on the very CPU that the client needs (4 KiB
/// reads at queue depth 1: 70 instead of 47 thousand a second on 2 CPUs).
pub fn spin(spinners: &Spinners, patience: &mut Patience, mut look: impl FnMut() -> bool) -> bool {
    if !patience.tries() {
        return false;
    }
    let Some(_slot) = spinners.enter() else { return false };
    let start = Instant::now();
    let paid = loop {
        if look() {
            break true;
        }
        if start.elapsed() > MOMENT {
            break false;
        }
        // The client may be waiting for this very CPU.
        thread::yield_now();
    };
    patience.learn(paid);
    paid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_where_it_does_not_pay_and_comes_back_where_it_does() {
        let mut patience = Patience::default();
        let mut tried = 0;
        for _ in 0..1000 {
            if patience.tries() {
                tried += 1;
                patience.learn(false);
            }
        }
        assert!((10..=30).contains(&tried), "{tried}");
        while !patience.tries() {}
        patience.learn(true);
        assert!(patience.tries() && patience.tries());
    }

    #[test]
    fn no_more_spin_than_may() {
        let spinners = Spinners(AtomicUsize::new(1));
        let slot = spinners.enter().unwrap();
        assert!(!spin(&spinners, &mut Patience::default(), || unreachable!()));
        drop(slot);
        let mut looks = 0;
        let look = || {
            looks += 1;
            looks == 3
        };
        assert!(spin(&spinners, &mut Patience::default(), look));
        assert!(!spin(&spinners, &mut Patience::default(), || false));
        assert!(spinners.enter().is_some());
    }
}
