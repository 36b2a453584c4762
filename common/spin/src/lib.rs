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

/// How many connections of the process are at work at this moment, and how many CPUs that leaves for clients.
#[derive(Debug)]
pub struct Bustle {
    working: AtomicUsize,
    most: usize,
}

impl Default for Bustle {
    /// One CPU is left for clients.
    fn default() -> Self {
        let cpus = available_parallelism().map_or(1, NonZero::get);
        Bustle::new(cpus - 1)
    }
}

impl Bustle {
    /// Crowded when more than `most` are at work; with 0 always.
    pub fn new(most: usize) -> Bustle {
        Bustle { working: AtomicUsize::new(0), most }
    }

    /// A connection is at work until what this gives is dropped: before it parks.
    pub fn work(&self) -> Working<'_> {
        // Relaxed, as below: the number is all there is to it, nothing else is handed over by it.
        self.working.fetch_add(1, Relaxed);
        Working(self)
    }
}

/// A connection at work.
#[derive(Debug)]
pub struct Working<'b>(&'b Bustle);

impl Working<'_> {
    /// Whether all CPUs have work, so that what is saved for one connection is gained by another. Where they have not, a
    /// client is likely to wait on a CPU of its own.
    pub fn is_crowded(&self) -> bool {
        self.0.working.load(Relaxed) > self.0.most
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Relaxed);
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
///
/// It gives up as soon as it is crowded: never do more spin than there are CPUs that would be idle.
pub fn spin(working: &Working<'_>, patience: &mut Patience, mut look: impl FnMut() -> bool) -> bool {
    if working.is_crowded() || !patience.tries() {
        return false;
    }
    let mut moment = Moment::begin();
    let paid = loop {
        if look() {
            break true;
        }
        if working.is_crowded() {
            return false;
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
    fn nobody_spins_in_a_crowd() {
        let bustle = Bustle::new(1);
        let (one, mut patience) = (bustle.work(), Patience::default());
        assert!(spin(&one, &mut patience, || true));
        let other = bustle.work();
        assert!(!spin(&one, &mut patience, || unreachable!()));
        drop(other);
        assert!(spin(&one, &mut patience, || true), "no patience was lost");
        assert!(!spin(&one, &mut patience, || false));
        assert!(!spin(&Bustle::new(0).work(), &mut Patience::default(), || unreachable!()));
    }

    #[test]
    fn who_spins_gives_way_to_who_comes() {
        let bustle = Bustle::new(1);
        let (one, mut other, mut looks) = (bustle.work(), None, 0);
        let paid = spin(&one, &mut Patience::default(), || {
            other.get_or_insert_with(|| bustle.work());
            looks += 1;
            looks > 1
        });
        assert!(!paid && looks == 1, "{looks}");
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
    fn never_more_spin_than_may_and_all_go_to_rest() {
        loom::model(|| {
            let bustle = Arc::new(Bustle::new(1));
            let inside = Arc::new(AtomicUsize::new(0));
            let connection = |bustle: Arc<Bustle>, inside: Arc<AtomicUsize>| {
                spin(&bustle.work(), &mut Patience::default(), || {
                    assert_eq!(inside.fetch_add(1, SeqCst), 0, "two where one may be");
                    inside.fetch_sub(1, SeqCst);
                    false
                });
            };
            let other = {
                let (bustle, inside) = (bustle.clone(), inside.clone());
                thread::spawn(move || connection(bustle, inside))
            };
            connection(bustle.clone(), inside);
            other.join().unwrap();
            assert!(!bustle.work().is_crowded(), "one never went to rest");
        });
    }

    /// The loop of a connection: spin, then ask to be woken, look once more, sleep. A request that comes at any moment is
    /// found. (A lost one shows as a deadlock.)
    #[test]
    fn a_request_that_comes_while_the_connection_goes_to_sleep_is_found() {
        loom::model(|| {
            let bustle = Bustle::new(1);
            let socket = Arc::new((AtomicBool::new(false), AtomicWaker::new()));
            let client = {
                let socket = socket.clone();
                thread::spawn(move || {
                    socket.0.store(true, SeqCst);
                    socket.1.wake();
                })
            };
            let look = || socket.0.load(SeqCst);
            if !spin(&bustle.work(), &mut Patience::default(), look) {
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
