// SPDX-License-Identifier: BSD-3-Clause
//! [`Op`]: an answer that is there already, or one to wait for.

use crate::{Error, Result};
use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll},
};

/// The waiting half of an [`Op`].
pub type Wait<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What every disk operation returns.
///
/// An operation that can answer at once does (`Ready`): no allocation, no task, no wake-up. One that has to wait
/// is a future that **has not begun**: it may be dropped as long as it was never polled, and once polled it is
/// awaited to its end. Both keep layers honest: trying an operation and building it anew is always allowed,
/// abandoning one that has begun never is.
#[must_use = "an operation does nothing for the client until it is returned or awaited"]
pub enum Op<'a, T> {
    /// All done, effects included.
    Ready(Result<T>),
    /// Not begun until first polled; once polled, awaited to its end.
    Wait(Wait<'a, T>),
}

impl<'a, T> Op<'a, T> {
    /// Done, with this value.
    pub fn ok(value: T) -> Self {
        Op::Ready(Ok(value))
    }

    /// Failed at once.
    pub fn err(error: Error) -> Self {
        Op::Ready(Err(error))
    }

    /// Waits for `future`.
    pub fn wait(future: impl Future<Output = Result<T>> + Send + 'a) -> Self {
        Op::Wait(Box::pin(future))
    }

    /// Runs `work` on the pool of threads for blocking calls, once polled; runs it to its end even if the future
    /// is dropped then.
    pub fn blocking(work: impl FnOnce() -> Result<T> + Send + 'static) -> Self
    where
        T: Send + 'static,
    {
        Op::wait(async move { ToTheEnd(Some(blocking::unblock(work))).await })
    }

    /// Runs `work` at once, so that plain code may use `?`.
    pub fn now(work: impl FnOnce() -> Result<T>) -> Self {
        Op::Ready(work())
    }

    /// Goes on with the result, success or not. Ready stays ready; only an answer to wait for is boxed again.
    #[inline]
    pub fn then<U>(self, next: impl FnOnce(Result<T>) -> Op<'a, U> + Send + 'a) -> Op<'a, U>
    where
        T: Send + 'a,
        U: Send + 'a,
    {
        match self {
            Op::Ready(result) => next(result),
            Op::Wait(wait) => Op::wait(async move { next(wait.await).await }),
        }
    }

    /// Goes on with the value, if there is one.
    #[inline]
    pub fn and_then<U>(self, next: impl FnOnce(T) -> Op<'a, U> + Send + 'a) -> Op<'a, U>
    where
        T: Send + 'a,
        U: Send + 'a,
    {
        match self {
            Op::Ready(Ok(value)) => next(value),
            Op::Ready(Err(error)) => Op::err(error),
            Op::Wait(wait) => Op::wait(async move { next(wait.await?).await }),
        }
    }

    /// Turns the value into another, or into an error.
    #[inline]
    pub fn map<U>(self, turn: impl FnOnce(T) -> Result<U> + Send + 'a) -> Op<'a, U>
    where
        T: 'a,
        U: 'a,
    {
        match self {
            Op::Ready(result) => Op::Ready(result.and_then(turn)),
            Op::Wait(wait) => Op::wait(async move { turn(wait.await?) }),
        }
    }

    /// Looks at the result in passing.
    #[inline]
    pub fn finally(self, look: impl FnOnce(&Result<T>) + Send + 'a) -> Op<'a, T>
    where
        T: Send + 'a,
    {
        match self {
            Op::Ready(result) => {
                look(&result);
                Op::Ready(result)
            }
            Op::Wait(wait) => Op::wait(async move {
                let result = wait.await;
                look(&result);
                result
            }),
        }
    }
}

impl<T> From<Result<T>> for Op<'_, T> {
    fn from(result: Result<T>) -> Self {
        Op::Ready(result)
    }
}

/// `op.await`. A type of its own, so that [`Op`] keeps its two honest variants.
pub enum OpFuture<'a, T> {
    /// Answered; `None` once it was taken.
    Ready(Option<Result<T>>),
    /// Waiting.
    Wait(Wait<'a, T>),
}

impl<T> Unpin for OpFuture<'_, T> {}

impl<T> Future for OpFuture<'_, T> {
    type Output = Result<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<Result<T>> {
        match &mut *self {
            OpFuture::Ready(Some(_)) => {
                let OpFuture::Ready(result) = &mut *self else { return Poll::Pending };
                result.take().map_or(Poll::Pending, Poll::Ready)
            }
            // Polled after completion, which the contract of Future forbids: it never wakes.
            OpFuture::Ready(None) => Poll::Pending,
            OpFuture::Wait(wait) => wait.as_mut().poll(cx),
        }
    }
}

impl<'a, T> IntoFuture for Op<'a, T> {
    type Output = Result<T>;
    type IntoFuture = OpFuture<'a, T>;

    #[inline]
    fn into_future(self) -> OpFuture<'a, T> {
        match self {
            Op::Ready(result) => OpFuture::Ready(Some(result)),
            Op::Wait(wait) => OpFuture::Wait(wait),
        }
    }
}

/// `blocking` cancels a queued job whose handle is dropped. Ours runs: what has begun is finished.
struct ToTheEnd<T>(Option<blocking::Task<T>>);

impl<T> Future for ToTheEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<T> {
        match &mut self.0 {
            Some(task) => Pin::new(task).poll(cx),
            // Only `drop` takes the task.
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    };

    #[test]
    fn ready_stays_ready() {
        let op = Op::ok(1).map(|n| Ok(n + 1)).and_then(|n| Op::ok(n * 10)).finally(|r| assert!(r.is_ok()));
        assert!(matches!(op, Op::Ready(Ok(20))));
    }

    #[test]
    fn a_wait_has_begun_nothing_before_it_is_polled() {
        let ran = Arc::new(AtomicU32::new(0));
        let count = ran.clone();
        drop(Op::<()>::blocking(move || {
            count.fetch_add(1, SeqCst);
            Ok(())
        }));
        assert_eq!(ran.load(SeqCst), 0);
    }

    #[test]
    fn blocking_work_that_has_begun_is_finished() {
        let (start, started) = std::sync::mpsc::channel();
        let (done, finished) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let mut op = Op::blocking(move || {
            let _ = start.send(());
            let _ = wait.recv();
            let _ = done.send(());
            Ok(())
        })
        .into_future();
        block_on(async {
            assert!(futures_lite::future::poll_once(&mut op).await.is_none());
        });
        started.recv().unwrap();
        drop(op);
        go.send(()).unwrap();
        finished.recv().unwrap();
    }
}
