// SPDX-License-Identifier: BSD-3-Clause
//! The transmission phase: requests in, operations, replies out. The hot path of the server reads from top to bottom
//! here; `inbox`, `flight`, `reply` and `outbox` are its stations.

use super::{
    flight::{Answer, Flight, cost},
    inbox::{Filled, Inbox, Next},
    outbox::Outbox,
    reply::Replies,
    spin::{Patience, Spinners, spin},
};
use crate::wire::Wire;
use async_io::Timer;
use futures_lite::future::yield_now;
use nbd_proto::{Request, server::Session};
use nbdkit_plugin::{Buf, Connection, Disk, EINVAL, Error, Result};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

/// Replies are collected up to this many bytes, then sent together.
const BATCH: u64 = 256 << 10;
/// Payload that a connection may hold at once beyond its largest request. A client that never reads its replies gets no
/// further than this.
const HOLD: u64 = 32 << 20;
/// How long a client that does not read may keep a server from ending.
const LINGER: Duration = Duration::from_secs(5);

/// One connection in transmission.
pub struct Transmission<'c> {
    /// Bytes in and out.
    pub wire: &'c Wire,
    /// What was negotiated.
    pub session: &'c Session,
    /// What is served.
    pub disk: &'c dyn Disk,
    /// Whom it is served to.
    pub connection: &'c Connection,
    /// How many operations may be under way at once.
    pub threads: usize,
    /// How many connections may spin.
    pub spinners: &'c Spinners,
}

/// How a client left.
pub enum Goodbye {
    /// With `NBD_CMD_DISC`.
    Polite,
    /// By hanging up, or it was sent away.
    Abrupt,
}

/// Whether more requests are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Intake {
    Open,
    /// What has arrived is still looked at; nothing more is read.
    Ended,
    /// Nothing more is even looked at.
    Closed,
}

struct State<'c> {
    inbox: Inbox,
    outbox: Outbox,
    flight: Flight<'c>,
    intake: Intake,
    polite: bool,
    /// The server is about to end, or the client is sent away.
    stopping: bool,
    /// The client cannot be told anything any more.
    broken: bool,
    /// A request that waits until others have let go of their payloads.
    held: Option<(Request, Buf)>,
    failure: Option<Error>,
}

impl<'c> Transmission<'c> {
    /// Serves the client until it leaves or is sent away. Whatever was begun is finished. `early` has been received
    /// already.
    pub async fn run(&self, early: &[u8]) -> Result<Goodbye> {
        let mut state = State {
            inbox: Inbox::new(self.connection.pool().clone(), early),
            outbox: Outbox::default(),
            flight: Flight::new(self.disk, self.connection.pool()),
            intake: Intake::Open,
            polite: false,
            stopping: false,
            broken: false,
            held: None,
            failure: None,
        };
        let log = self.connection.log().named("nbdkit");
        let replies = Replies { session: self.session, log: &log };
        let mut gone = pin!(self.connection.gone());
        let mut linger = Timer::never();
        let mut patience = Patience::default();
        let mut batches = 0u32;
        loop {
            self.begin(&mut state, &replies);
            let sent = self.send(&mut state);
            if sent > 0 && state.stopping {
                linger.set_after(LINGER);
            }
            let filled = self.receive(&mut state);
            if state.over() {
                break;
            }
            if sent > 0 || filled {
                batches += 1;
                // Others on this thread have clients too.
                if batches.is_multiple_of(4) {
                    yield_now().await;
                }
                continue;
            }
            if state.flight.is_empty() && state.outbox.is_empty() {
                // Measured at 4 KiB and queue depth 1: see BENCHMARKS.md.
                let look = || self.receive(&mut state) || state.intake != Intake::Open;
                if spin(self.spinners, &mut patience, look).await {
                    continue;
                }
                state.inbox.rest();
            }
            match poll_fn(|cx| self.poll(&mut state, gone.as_mut(), &mut linger, cx)).await {
                Wake::Ready => {}
                Wake::Landed(answer) => replies.answer(answer, &mut state.outbox),
                Wake::Stop => {
                    state.stopping = true;
                    state.end_intake(Intake::Ended);
                    linger.set_after(LINGER);
                }
                Wake::GiveUp => state.broken = true,
            }
        }
        match (state.failure, state.polite) {
            (Some(error), _) => Err(error),
            (None, true) => Ok(Goodbye::Polite),
            (None, false) => Ok(Goodbye::Abrupt),
        }
    }

    /// Begins requests that have arrived, as many as may be under way.
    fn begin(&self, state: &mut State<'_>, replies: &Replies<'_>) {
        while state.flight.len() < self.threads && state.outbox.bytes() < BATCH {
            let (request, payload) = match state.held.take() {
                Some(held) => held,
                None if state.intake == Intake::Closed => return,
                None => match state.inbox.next(self.session) {
                    Next::Request(request, payload) => (request, payload),
                    Next::Refuse(refusal) => {
                        replies.refuse(&refusal, &mut state.outbox);
                        continue;
                    }
                    Next::Disconnect => {
                        state.polite = true;
                        return state.end_intake(Intake::Closed);
                    }
                    Next::Fatal(fatal) => {
                        state.failure = Some(Error::new(EINVAL, fatal.to_string()));
                        return state.end_intake(Intake::Closed);
                    }
                    Next::Nothing if state.intake == Intake::Ended => {
                        return state.end_intake(Intake::Closed);
                    }
                    Next::Nothing => return,
                },
            };
            if state.stopping {
                replies.shutting_down(request.tag(), &mut state.outbox);
                continue;
            }
            let holds = state.flight.bytes() + state.outbox.bytes();
            if holds > 0 && holds + cost(&request) > HOLD {
                state.held = Some((request, payload));
                return;
            }
            if let Some(answer) = state.flight.start(request, payload) {
                replies.answer(answer, &mut state.outbox);
            }
        }
    }

    /// Sends what the socket takes; how many bytes that were.
    fn send(&self, state: &mut State<'_>) -> u64 {
        if state.broken {
            state.outbox = Outbox::default();
        }
        match state.outbox.send(self.wire) {
            Ok(sent) => sent,
            Err(error) => {
                state.fail(error, "write to client");
                0
            }
        }
    }

    /// Reads what is there, if there is room for it; whether there was something to be looked at.
    fn receive(&self, state: &mut State<'_>) -> bool {
        if !state.wants_input(self.threads) {
            return false;
        }
        match state.inbox.fill(self.wire) {
            Ok(Filled::Some) => true,
            Ok(Filled::Nothing) => false,
            Ok(Filled::End(in_message)) => {
                if in_message && state.failure.is_none() && !state.stopping {
                    state.failure =
                        Some(Error::new(EINVAL, "client closed the connection in the middle of a request"));
                }
                state.end_intake(Intake::Closed);
                false
            }
            Err(error) => {
                state.fail(error, "read from client");
                false
            }
        }
    }

    /// Waits for all that can happen. Never for the socket alone: an operation of this connection that is not polled
    /// may hold the gate that another connection waits for.
    fn poll(
        &self,
        state: &mut State<'_>,
        gone: Pin<&mut impl Future<Output = ()>>,
        linger: &mut Timer,
        cx: &mut Context<'_>,
    ) -> Poll<Wake> {
        if let Poll::Ready(answer) = state.flight.poll_landed(cx) {
            return Poll::Ready(Wake::Landed(answer));
        }
        if !state.outbox.is_empty() && self.wire.poll_writable(cx).is_ready() {
            return Poll::Ready(Wake::Ready);
        }
        if state.wants_input(self.threads) && self.wire.poll_readable(cx).is_ready() {
            return Poll::Ready(Wake::Ready);
        }
        if !state.stopping && gone.poll(cx).is_ready() {
            return Poll::Ready(Wake::Stop);
        }
        if state.stopping && Pin::new(linger).poll(cx).is_ready() && !state.outbox.is_empty() {
            return Poll::Ready(Wake::GiveUp);
        }
        Poll::Pending
    }
}

enum Wake {
    /// The socket may be tried again.
    Ready,
    /// An operation has ended.
    Landed(Answer),
    /// The server is about to end, or the client is sent away.
    Stop,
    /// The client has not read for too long.
    GiveUp,
}

impl State<'_> {
    /// Reads on only when what was read can be begun: the socket's buffer, not ours, is where requests wait.
    fn wants_input(&self, threads: usize) -> bool {
        self.intake == Intake::Open
            && self.held.is_none()
            && self.flight.len() < threads
            && self.outbox.bytes() < BATCH
    }

    fn end_intake(&mut self, intake: Intake) {
        if self.intake != Intake::Closed {
            self.intake = intake;
        }
    }

    fn over(&self) -> bool {
        self.intake == Intake::Closed
            && self.flight.is_empty()
            && self.outbox.is_empty()
            && self.held.is_none()
    }

    /// The client is out of reach. Somebody who just hangs up is not worth a line.
    fn fail(&mut self, error: std::io::Error, what: &'static str) {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
        if !matches!(error.kind(), BrokenPipe | ConnectionReset) && self.failure.is_none() {
            self.failure = Some(Error::io(error, what));
        }
        self.broken = true;
        self.held = None;
        self.outbox = Outbox::default();
        self.end_intake(Intake::Closed);
    }
}
