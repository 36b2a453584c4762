// SPDX-License-Identifier: BSD-3-Clause
//! [`Clock`]: how far the scan is. All clients share it, so that each part of the disk is prefetched for all of them.

use nbdkit_filter::Span;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How far the scan is.
#[derive(Default)]
pub(crate) struct Clock(Mutex<Hand>);

#[derive(Default)]
struct Hand {
    /// What comes next, in bytes from the start of the disk.
    at: u64,
    clients: usize,
}

impl Clock {
    /// A client has come. The first one starts anew, unless it goes on where the last one was.
    pub(crate) fn enter(&self, goes_on: bool) {
        let mut hand = self.hand();
        if hand.clients == 0 && !goes_on {
            hand.at = 0;
        }
        hand.clients += 1;
    }

    /// One has left.
    pub(crate) fn leave(&self) {
        let mut hand = self.hand();
        hand.clients = hand.clients.saturating_sub(1);
    }

    /// What is to be prefetched next, at most `step` bytes; nobody else gets the same. `None` at the end of the disk of
    /// `size` bytes.
    pub(crate) fn next(&self, size: u64, step: u64) -> Option<Span> {
        let mut hand = self.hand();
        let len = step.min(size.saturating_sub(hand.at));
        let span = Span::new(hand.at, len);
        hand.at += len;
        (len > 0).then_some(span)
    }

    /// Begins anew, if it is at the end.
    pub(crate) fn rewind(&self, size: u64) {
        let mut hand = self.hand();
        if hand.at >= size {
            hand.at = 0;
        }
    }

    /// A client has read up to `end`: what lies before that need not be prefetched any more.
    pub(crate) fn skip(&self, end: u64, step: u64) {
        let mut hand = self.hand();
        hand.at = hand.at.max(end - end % step);
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        // Nothing under this lock panics half-way; a poisoned one is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_over_the_disk_once() {
        let clock = Clock::default();
        clock.enter(true);
        let next = || clock.next(1000, 512);
        assert_eq!([next(), next(), next()], [Some(Span::new(0, 512)), Some(Span::new(512, 488)), None]);
        clock.rewind(1000);
        assert_eq!(next(), Some(Span::new(0, 512)));
        clock.rewind(1000);
        assert_eq!(next(), Some(Span::new(512, 488)), "not at the end yet");
    }

    #[test]
    fn stays_ahead_of_readers_but_leaves_nothing_out_after_them() {
        let clock = Clock::default();
        clock.skip(5000, 512);
        assert_eq!(clock.next(10_000, 512), Some(Span::new(4608, 512)));
        clock.skip(100, 512);
        assert_eq!(clock.next(10_000, 512), Some(Span::new(5120, 512)), "never back");
        clock.skip(10_000, 512);
        assert_eq!(clock.next(10_000, 512), Some(Span::new(9728, 272)));
        assert_eq!(clock.next(10_000, 512), None);
    }

    #[test]
    fn starts_anew_only_for_the_first_client_that_wants_it() {
        let clock = Clock::default();
        let at = || clock.next(10_000, 512).map(|span| span.offset);
        clock.enter(false);
        assert_eq!(at(), Some(0));
        clock.enter(false);
        assert_eq!(at(), Some(512));
        clock.leave();
        clock.leave();
        clock.enter(true);
        assert_eq!(at(), Some(1024));
        clock.leave();
        clock.enter(false);
        assert_eq!(at(), Some(0));
    }
}
