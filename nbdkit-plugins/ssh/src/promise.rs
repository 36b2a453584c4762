// SPDX-License-Identifier: BSD-3-Clause
//! One answer, from the task that gets it to the one that waits for it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// Two ends: who keeps the promise, and who waits for that.
pub(crate) fn promise<T>() -> (Promise<T>, Promised<T>) {
    let slot = Arc::new(Mutex::new(Slot { answer: None, broken: false, waker: None }));
    (Promise(slot.clone()), Promised(slot))
}

struct Slot<T> {
    answer: Option<T>,
    broken: bool,
    waker: Option<Waker>,
}

/// Dropped without a word, it is broken.
pub(crate) struct Promise<T>(Arc<Mutex<Slot<T>>>);

impl<T> Promise<T> {
    pub(crate) fn keep(self, answer: T) {
        lock(&self.0).answer = Some(answer);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = lock(&self.0);
            slot.broken = true;
            slot.waker.take()
        };
        // Not under the lock: whoever wakes up looks at once.
        waker.into_iter().for_each(Waker::wake);
    }
}

/// The answer, or `None` if the promise was broken.
pub(crate) struct Promised<T>(Arc<Mutex<Slot<T>>>);

impl<T> Future for Promised<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = lock(&self.0);
        match slot.answer.take() {
            Some(answer) => Poll::Ready(Some(answer)),
            None if slot.broken => Poll::Ready(None),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Nothing that holds the lock can panic.
fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;

    #[test]
    fn kept_and_broken() {
        let (promise_kept, promised) = promise();
        promise_kept.keep(7);
        assert_eq!(block_on(promised), Some(7));
        let (broken, promised) = promise::<u32>();
        drop(broken);
        assert_eq!(block_on(promised), None);
    }

    #[test]
    fn wakes_who_waits() {
        let (promise_kept, promised) = promise();
        let waiter = std::thread::spawn(move || block_on(promised));
        promise_kept.keep("now");
        assert_eq!(waiter.join().unwrap(), Some("now"));
    }
}
