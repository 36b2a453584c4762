// SPDX-License-Identifier: BSD-3-Clause
//! [`Bell`]: what the socket rings, and who answers.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
};

/// The waker that the socket knows. It stays the same, so that calls of several tasks do not push each other away from the
/// socket; who is woken by it changes with every poll.
#[derive(Default)]
pub(crate) struct Bell(Mutex<State>);

#[derive(Default)]
struct State {
    answers: Option<Waker>,
    /// Since the socket was last looked at.
    rung: bool,
}

impl Bell {
    /// From now on `waker` is woken. At once, if it has rung since [`silence`](Bell::silence): whoever answered then may
    /// have gone.
    pub(crate) fn answer(&self, waker: &Waker) {
        let mut state = self.lock();
        if state.rung {
            drop(state);
            return waker.wake_by_ref();
        }
        match &mut state.answers {
            Some(answers) => answers.clone_from(waker),
            answers => *answers = Some(waker.clone()),
        }
    }

    /// Nobody waits for it.
    pub(crate) fn rest(&self) {
        let waker = self.lock().answers.take();
        drop(waker);
    }

    /// The socket is about to be looked at; whether it has rung since the last time.
    pub(crate) fn silence(&self) -> bool {
        std::mem::take(&mut self.lock().rung)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.lock();
        state.rung = true;
        let answers = state.answers.take();
        drop(state);
        if let Some(waker) = answers {
            waker.wake();
        }
    }
}
