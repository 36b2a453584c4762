// SPDX-License-Identifier: BSD-3-Clause
//! [`Lane`]: the remote file on one SSH session. What is asked of it waits in a queue until its [`Pump`] sends it.
//!
//! [`Pump`]: crate::pump::Pump

use crate::{
    promise::{Promise, Promised, promise},
    wire::Attributes,
};
use event_listener::{Event, EventListener};
use nbdkit_plugin::{Buf, BufMut, EIO, Error, Result};
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

/// One request of SFTP, and who waits for the reply.
pub(crate) enum Call {
    /// Fills `buf` from `offset`; its first `filled` bytes are there already.
    Read {
        buf: BufMut,
        filled: usize,
        offset: u64,
        done: Promise<Result<Buf>>,
    },
    Write {
        data: Buf,
        offset: u64,
        done: Promise<Result<()>>,
    },
    Sync(Promise<Result<()>>),
    Attributes(Promise<Result<Attributes>>),
}

/// Cheap to clone. The session ends when it is [closed](Lane::close) and idle.
#[derive(Clone)]
pub(crate) struct Lane {
    shared: Arc<Shared>,
    /// The longest read and write, in bytes.
    pub limits: Limits,
}

/// What one request may ask for, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub read: usize,
    pub write: usize,
}

/// The side of the pump.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// A call was queued, or the lane closed.
    news: Event,
    /// How many calls are not answered yet.
    calls: AtomicUsize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Call>,
    closing: bool,
    /// Why nothing can be asked any more.
    lost: Option<Arc<str>>,
}

impl Lane {
    /// A lane, and what its pump needs of it.
    pub(crate) fn new(limits: Limits) -> (Lane, Arc<Shared>) {
        let shared =
            Arc::new(Shared { state: Mutex::default(), news: Event::new(), calls: AtomicUsize::new(0) });
        (Lane { shared: shared.clone(), limits }, shared)
    }

    /// Fills `buf`, which is within the limits, from `offset`. Asks at once; the future only waits.
    pub(crate) fn read(&self, buf: BufMut, offset: u64) -> Answer<Buf> {
        self.ask(move |done| Call::Read { buf, filled: 0, offset, done })
    }

    /// Writes `data`, which is within the limits, at `offset`. Asks at once.
    pub(crate) fn write(&self, data: Buf, offset: u64) -> Answer<()> {
        self.ask(move |done| Call::Write { data, offset, done })
    }

    /// Makes permanent what was written, through whatever session.
    pub(crate) fn sync(&self) -> Answer<()> {
        self.ask(Call::Sync)
    }

    /// What is known of the file now.
    pub(crate) fn attributes(&self) -> Answer<Attributes> {
        self.ask(Call::Attributes)
    }

    fn ask<T>(&self, call: impl FnOnce(Promise<Result<T>>) -> Call) -> Answer<T> {
        let (promise, promised) = promise();
        let counted = Counted::new(&self.shared);
        self.shared.put(call(promise));
        Answer { promised, counted }
    }

    /// How many calls are not answered yet.
    pub(crate) fn calls(&self) -> usize {
        self.shared.calls.load(Relaxed)
    }

    /// Whether the session has ended.
    pub(crate) fn is_lost(&self) -> bool {
        self.shared.lock().lost.is_some()
    }

    /// Lets the session end once everything is answered.
    pub(crate) fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.news.notify(1);
    }
}

/// Waits for what was asked.
pub(crate) struct Answer<T> {
    promised: Promised<Result<T>>,
    counted: Counted,
}

impl<T> Future for Answer<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        Pin::new(&mut self.promised).poll(cx).map(|answer| {
            answer.unwrap_or_else(|| {
                let lost = self.counted.0.lock().lost.clone();
                Err(Error::new(EIO, lost.as_deref().unwrap_or("the SSH session has ended").to_owned()))
            })
        })
    }
}

/// One of [`Shared::calls`].
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Counted {
        shared.calls.fetch_add(1, Relaxed);
        Counted(shared.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Relaxed);
    }
}

impl Shared {
    /// Where the session is lost the call is dropped, and its promise broken.
    fn put(&self, call: Call) {
        let mut state = self.lock();
        if state.lost.is_none() {
            state.queue.push_back(call);
            drop(state);
            self.news.notify(1);
        }
    }

    /// Takes the oldest call.
    pub(crate) fn take(&self) -> Option<Call> {
        self.lock().queue.pop_front()
    }

    /// Resolves when there may be something new; `None` if there is already.
    pub(crate) fn news(&self, closing_is_known: bool) -> Option<EventListener> {
        let listener = self.news.listen();
        let state = self.lock();
        (state.queue.is_empty() && state.closing == closing_is_known).then_some(listener)
    }

    /// Whether nobody will ask for more.
    pub(crate) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// From now on nothing is answered, and this is why.
    pub(crate) fn lose(&self, why: &str) {
        let queue = {
            let mut state = self.lock();
            state.lost.get_or_insert_with(|| why.into());
            std::mem::take(&mut state.queue)
        };
        // Not under the lock: who waits for them asks why.
        drop(queue);
    }

    /// Nothing that holds the lock can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
