// SPDX-License-Identifier: BSD-3-Clause
//! The transmission phase: requests in, operations, replies out. The hot path of the server reads from top to bottom
//! here; `inbox`, `flight`, `reply` and `outbox` are its stations.

use super::{
    flight::{Answer, cost},
    inbox::{Filled, Next},
    outbox::Outbox,
    reply::Replies,
    state::{Intake, State},
};
use crate::wire::Wire;
use futures_lite::future::yield_now;
use nbd_proto::server::Session;
use nbdkit_plugin::{Connection, Disk, EINVAL, Error, Log, Result};
use nbdkit_spin::{Bustle, Patience, Working, spin};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

/// Replies are collected up to this many bytes, then sent together.
pub const BATCH: u64 = 256 << 10;
/// Where a client waits on a CPU of its own it gets them earlier, and reads these while the next are made. (4 KiB reads at
/// queue depth 16, 2 CPUs: 1.2 times as many, 1.4 times with TLS. In a crowd, of four connections, 0.8 times.)
const EARLY_BATCH: u64 = 32 << 10;
/// Payload that a connection may hold at once beyond its largest request. A client that never reads its replies gets no
/// further than this.
const HOLD: u64 = 32 << 20;
/// How long a client that is never quiet keeps a thread, when others on it may have clients too. Giving way wakes
/// another thread to look for work: not worth it after every batch.
const TURN: Duration = Duration::from_micros(500);
/// How long it keeps the CPU, when others want that. The kernel would have them wait for its whole slice, 3 ms. (99th
/// percentile of the wait for 4 KiB beside a client that takes 256 KiB at queue depth 64, 2 CPUs: 0.1 instead of 2.0 ms.)
const BREATH: Duration = Duration::from_micros(20);

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
    /// Speaks on behalf of the connection.
    pub log: &'c Log,
    /// How many operations may be under way at once.
    pub threads: usize,
    /// How many connections are at work.
    pub bustle: &'c Bustle,
}

/// How a client left.
pub enum Goodbye {
    /// With `NBD_CMD_DISC`.
    Polite,
    /// By hanging up, or it was sent away.
    Abrupt,
}

impl<'c> Transmission<'c> {
    /// Serves the client until it leaves or is sent away. Whatever was begun is finished. `early` has been received
    /// already.
    pub async fn run(&self, early: &[u8]) -> Result<Goodbye> {
        let mut state = State::new(self, early);
        let replies = Replies { session: self.session, log: self.log };
        let mut gone = pin!(self.connection.gone());
        let mut patience = Patience::default();
        let mut turn = Turn::begin();
        let mut working = self.bustle.work();
        loop {
            let more = self.begin(&mut state, &replies, &working, &turn);
            let sent = self.send(&mut state);
            let filled = self.receive(&mut state);
            if state.over() {
                break;
            }
            if more || sent > 0 || filled {
                let now = Instant::now();
                if turn.is_over(now) {
                    yield_now().await;
                    self.look_up(&mut state, &replies).await;
                    turn = Turn::begin();
                } else {
                    turn.breathe(now);
                }
                continue;
            }
            if state.flight.is_empty() && state.outbox.is_empty() {
                // What it gains stands at `spin`.
                let look = || self.receive(&mut state) || state.intake != Intake::Open;
                if spin(&working, &mut patience, look) {
                    continue;
                }
            }
            drop(working);
            let wake = poll_fn(|cx| self.poll(&mut state, gone.as_mut(), cx)).await;
            working = self.bustle.work();
            turn = Turn::begin();
            match wake {
                Wake::Ready => {}
                Wake::Landed(answer) => replies.answer(answer, &mut state.outbox),
                Wake::Stop => state.stop(),
                Wake::Late => state.late(),
                Wake::Beat => state.beat(),
            }
        }
        match (state.failure, state.polite) {
            (Some(error), _) => Err(error),
            (None, true) => Ok(Goodbye::Polite),
            (None, false) => Ok(Goodbye::Abrupt),
        }
    }

    /// Begins requests that have arrived, as many as may be under way. True if its turn is over before all are begun:
    /// one expensive operation after the other must not put off cheap ones of other clients.
    fn begin(
        &self,
        state: &mut State<'_>,
        replies: &Replies<'_>,
        working: &Working<'_>,
        turn: &Turn,
    ) -> bool {
        let batch = if working.is_crowded() { BATCH } else { EARLY_BATCH };
        while state.flight.len() < self.threads && state.outbox.bytes() < batch {
            let (request, payload) = match state.held.take() {
                Some(held) => held,
                None if state.intake == Intake::Closed => return false,
                None => match state.inbox.next(self.session) {
                    Next::Request(request, payload) => (request, payload),
                    Next::Refuse(refusal) => {
                        replies.refuse(&refusal, &mut state.outbox);
                        continue;
                    }
                    Next::Disconnect => {
                        state.polite = true;
                        state.end_intake(Intake::Closed);
                        return false;
                    }
                    Next::Fatal(fatal) => {
                        state.failure = Some(Error::new(EINVAL, fatal.to_string()));
                        state.end_intake(Intake::Closed);
                        return false;
                    }
                    Next::Nothing => {
                        if state.intake == Intake::Ended {
                            state.all_seen();
                        }
                        return false;
                    }
                },
            };
            if state.stopping {
                replies.shutting_down(request.tag(), &mut state.outbox);
                continue;
            }
            let holds = state.flight.bytes() + state.outbox.bytes();
            if holds > 0 && holds + cost(&request) > HOLD {
                state.held = Some((request, payload));
                return false;
            }
            if let Some(answer) = state.flight.start(request, payload) {
                replies.answer(answer, &mut state.outbox);
            }
            if turn.is_over(Instant::now()) {
                return true;
            }
        }
        false
    }

    /// Sends what the socket takes; how many bytes that were.
    fn send(&self, state: &mut State<'_>) -> u64 {
        if self.connection.is_aborted() && !state.broken {
            // What is in flight goes on; the client has seen the last of us.
            self.wire.finish();
            state.lose();
        }
        if state.broken {
            state.outbox = Outbox::default();
        }
        match state.outbox.send(self.wire) {
            Ok(sent) => {
                if sent > 0 && state.stopping {
                    state.be_patient();
                }
                sent
            }
            Err(error) => {
                state.fail(error, "write to client");
                0
            }
        }
    }

    /// Reads what is there, if there is room for it; whether there was something to be looked at.
    fn receive(&self, state: &mut State<'_>) -> bool {
        if !state.wants_input() {
            return false;
        }
        match state.inbox.fill(self.wire) {
            Ok(Filled::Some) => {
                state.heard();
                true
            }
            Ok(Filled::Nothing) => false,
            Ok(Filled::End) => {
                state.end_intake(Intake::Ended);
                true
            }
            Err(error) => {
                state.fail(error, "read from client");
                false
            }
        }
    }

    /// What a client that is never quiet must not put off: operations in flight, which may hold a gate that others
    /// wait for, and the end.
    async fn look_up(&self, state: &mut State<'_>, replies: &Replies<'_>) {
        if !state.stopping && self.connection.is_gone() {
            state.stop();
        }
        poll_fn(|cx| {
            while let Poll::Ready(answer) = state.flight.poll_landed(cx) {
                replies.answer(answer, &mut state.outbox);
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Waits for all that can happen. Never for the socket alone: an operation of this connection that is not polled
    /// may hold the gate that another connection waits for.
    fn poll(
        &self,
        state: &mut State<'_>,
        gone: Pin<&mut impl Future<Output = ()>>,
        cx: &mut Context<'_>,
    ) -> Poll<Wake> {
        if let Poll::Ready(answer) = state.flight.poll_landed(cx) {
            return Poll::Ready(Wake::Landed(answer));
        }
        if !state.outbox.is_empty() && self.wire.poll_writable(cx).is_ready() {
            return Poll::Ready(Wake::Ready);
        }
        if state.wants_input() && self.wire.poll_readable(cx).is_ready() {
            return Poll::Ready(Wake::Ready);
        }
        if !state.stopping && gone.poll(cx).is_ready() {
            return Poll::Ready(Wake::Stop);
        }
        if state.poll_late(cx).is_ready() {
            return Poll::Ready(Wake::Late);
        }
        state.poll_beat(cx).map(|()| Wake::Beat)
    }
}

/// How long the connection has kept its thread.
struct Turn {
    began: Instant,
    /// When the CPU was last offered to others.
    breath: Instant,
}

impl Turn {
    fn begin() -> Turn {
        let now = Instant::now();
        Turn { began: now, breath: now }
    }

    fn is_over(&self, now: Instant) -> bool {
        now - self.began > TURN
    }

    /// Offers the CPU, if it is time for that.
    fn breathe(&mut self, now: Instant) {
        if now - self.breath > BREATH {
            thread::yield_now();
            self.breath = Instant::now();
        }
    }
}

enum Wake {
    /// The socket may be tried again.
    Ready,
    /// An operation has ended.
    Landed(Answer),
    /// The server is about to end, or the client is sent away.
    Stop,
    /// The client has not read for too long, if there was anything to be read.
    Late,
    /// Time to look up from waiting.
    Beat,
}
