// SPDX-License-Identifier: BSD-3-Clause
//! Spinning before parking.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod moment;

#[cfg(loom)]
use loom::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};
use moment::Moment;
use std::{num::NonZero, thread::available_parallelism};
#[cfg(not(loom))]
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

/// After failures as many waits are not looked into, doubling up to this.
const MOST_SKIPPED: u32 = 64;

/// How many connections of the process may spin at once.
#[derive(Debug)]
pub struct Spinners(AtomicUsize);

impl Default for Spinners {
    /// One CPU is left for clients.
    fn default() -> Self {
        let cpus = available_parallelism().map_or(1, NonZero::get);
        Spinners::new(cpus - 1)
    }
}

impl Spinners {
    /// At most `most`; with 0 nobody spins.
    pub fn new(most: usize) -> Spinners {
        Spinners(AtomicUsize::new(most))
    }

    fn enter(&self) -> Option<Slot<'_>> {
        // Relaxed: the number is all there is to it, nothing else is handed over by it.
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
#[derive(Debug, Default)]
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

/// True as soon as `look` finds something; false when the moment is over: then park, in a way that looks once more after
/// it has asked to be woken.
///
/// It is short enough to keep the thread for itself: giving way to other tasks of an executor would wake another thread
/// each time, on the very CPU that the client needs (4 KiB reads of NBD at queue depth 1: 70 instead of 47 thousand a
/// second on 2 CPUs).
pub fn spin(spinners: &Spinners, patience: &mut Patience, mut look: impl FnMut() -> bool) -> bool {
    if !patience.tries() {
        return false;
    }
    let Some(_slot) = spinners.enter() else { return false };
    let mut moment = Moment::begin();
    let paid = loop {
        if look() {
            break true;
        }
        if moment.is_over() {
            break false;
        }
        // The client may be waiting for this very CPU.
        thread::yield_now();
    };
    patience.learn(paid);
    paid
}

#[cfg(all(test, not(loom)))]
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
        let spinners = Spinners::new(1);
        let slot = spinners.enter().unwrap();
        assert!(!spin(&spinners, &mut Patience::default(), || unreachable!()));
        drop(slot);
        assert!(spin(&spinners, &mut Patience::default(), || true));
        assert!(!spin(&spinners, &mut Patience::default(), || false));
        assert!(spinners.enter().is_some());
    }
}

/// All orders in which threads can meet.
#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::{
        future::{AtomicWaker, block_on},
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering::SeqCst},
        },
    };
    use std::{future::poll_fn, task::Poll};

    #[test]
    fn never_more_spinners_than_slots_and_every_slot_comes_back() {
        loom::model(|| {
            let spinners = Arc::new(Spinners::new(1));
            let inside = Arc::new(AtomicUsize::new(0));
            let connection = |spinners: Arc<Spinners>, inside: Arc<AtomicUsize>| {
                spin(&spinners, &mut Patience::default(), || {
                    assert_eq!(inside.fetch_add(1, SeqCst), 0, "two where one may be");
                    inside.fetch_sub(1, SeqCst);
                    false
                });
            };
            let other = {
                let (spinners, inside) = (spinners.clone(), inside.clone());
                thread::spawn(move || connection(spinners, inside))
            };
            connection(spinners.clone(), inside);
            other.join().unwrap();
            assert!(spinners.enter().is_some(), "a slot was lost");
        });
    }

    /// The loop of a connection: spin, then ask to be woken, look once more, sleep. A request that comes at any moment is
    /// found. (A lost one shows as a deadlock.)
    #[test]
    fn a_request_that_comes_while_the_connection_goes_to_sleep_is_found() {
        loom::model(|| {
            let spinners = Spinners::new(1);
            let socket = Arc::new((AtomicBool::new(false), AtomicWaker::new()));
            let client = {
                let socket = socket.clone();
                thread::spawn(move || {
                    socket.0.store(true, SeqCst);
                    socket.1.wake();
                })
            };
            let look = || socket.0.load(SeqCst);
            if !spin(&spinners, &mut Patience::default(), look) {
                block_on(poll_fn(|cx| {
                    socket.1.register_by_ref(cx.waker());
                    if look() { Poll::Ready(()) } else { Poll::Pending }
                }));
            }
            assert!(look());
            client.join().unwrap();
        });
    }
}
