// SPDX-License-Identifier: BSD-3-Clause
//! [`Latch`]: something that happens once, and that many may wait for.

use event_listener::Event;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

#[derive(Default)]
pub(crate) struct Latch {
    set: AtomicBool,
    event: Event,
}

impl Latch {
    pub(crate) fn set(&self) {
        self.set.store(true, SeqCst);
        self.event.notify(usize::MAX);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(SeqCst)
    }

    pub(crate) async fn wait(&self) {
        while !self.is_set() {
            let listener = self.event.listen();
            // `set` may have come between the look and the listening.
            if self.is_set() {
                return;
            }
            listener.await;
        }
    }
}
