// SPDX-License-Identifier: BSD-3-Clause
//! [`Call`]: one request, from its first poll to its answer.

use super::{
    Client,
    link::Link,
    release,
    table::{Answer, Ticket},
};
use nbd_proto::Request;
use nbdkit_plugin::{Buf, BufMut, Result};
use std::{
    future::Future,
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
};

/// Requests are collected up to this many bytes, then sent.
const BATCH: usize = 256 << 10;

/// What is asked of the server.
pub(crate) struct Wish {
    /// Its cookie is chosen later.
    pub request: Request,
    /// The bytes of a write.
    pub payload: Buf,
    /// Where the bytes of a read go.
    pub buf: Option<BufMut>,
}

/// One request and its answer. Not begun before it is polled; then to be polled to its end.
pub(crate) struct Call<'c> {
    client: &'c Client,
    state: State,
}

enum State {
    Announced(Wish),
    Begun(Ticket),
    Over,
}

impl<'c> Call<'c> {
    /// The caller has announced it.
    pub(super) fn new(client: &'c Client, wish: Wish) -> Call<'c> {
        Call { client, state: State::Announced(wish) }
    }

    fn poll_answer(&mut self, link: &mut Link, cx: &mut Context<'_>) -> Poll<Result<Answer>> {
        let client = self.client;
        let (ticket, others) = match std::mem::replace(&mut self.state, State::Over) {
            State::Announced(wish) => {
                let others = client.announced.fetch_sub(1, Relaxed) > 1;
                (link.push(&client.session, wish.request, wish.payload, wish.buf)?, others)
            }
            State::Begun(ticket) => (ticket, false),
            State::Over => return Poll::Pending,
        };
        self.state = State::Begun(ticket);
        let old = link.table.waker(ticket).and_then(Option::take);
        if others && link.outbox.bytes() < BATCH {
            // More requests are about to come, which leave together with this one. They may be held up by something
            // else: whoever was first comes again.
            if !std::mem::replace(&mut link.promised, true) {
                cx.waker().wake_by_ref();
            }
        } else {
            client.drive(link);
        }
        if let Some(answer) = link.table.take(ticket) {
            self.state = State::Over;
            client.hand_over(link, ticket);
            return Poll::Ready(answer);
        }
        let waker = old.filter(|old| old.will_wake(cx.waker())).unwrap_or_else(|| cx.waker().clone());
        client.bell.answer(&waker);
        link.answering = Some(ticket);
        if let Some(slot) = link.table.waker(ticket) {
            *slot = Some(waker);
        }
        Poll::Pending
    }
}

impl Client {
    fn drive(&self, link: &mut Link) {
        let rung = self.bell.silence();
        link.drive(&self.session, rung, &mut Context::from_waker(&self.rope));
    }

    /// Whoever `ticket` was for is gone. If the bell was theirs to answer, it is somebody else's now.
    fn hand_over(&self, link: &mut Link, ticket: Ticket) {
        if link.answering == Some(ticket) {
            let other = link.table.others(ticket).next();
            match other {
                Some((_, waker)) => self.bell.answer(waker),
                None => self.bell.rest(),
            }
            link.answering = other.map(|(other, _)| other);
        }
    }
}

impl Future for Call<'_> {
    type Output = Result<Answer>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Answer>> {
        let client = self.client;
        let mut link = client.lock();
        let polled = self.poll_answer(&mut link, cx);
        release(link);
        polled
    }
}

/// An operation that has begun is awaited to its end, unless whoever did so panicked. Its answer, which may be on its way,
/// is thrown away then.
impl Drop for Call<'_> {
    fn drop(&mut self) {
        match self.state {
            State::Announced(_) => drop(self.client.announced.fetch_sub(1, Relaxed)),
            State::Begun(ticket) => {
                let mut link = self.client.lock();
                link.table.desert(ticket);
                self.client.drive(&mut link);
                self.client.hand_over(&mut link, ticket);
                release(link);
            }
            State::Over => {}
        }
    }
}
