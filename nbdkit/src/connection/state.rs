// SPDX-License-Identifier: BSD-3-Clause
//! [`State`]: where a connection in transmission stands: what is still taken, what is under way, whether anybody is
//! there to be answered.

use super::{
    flight::Flight,
    inbox::Inbox,
    outbox::Outbox,
    transmit::{BATCH, Transmission},
};
use crate::wire::Wire;
use async_io::Timer;
use nbd_proto::Request;
use nbdkit_plugin::{Buf, Connection, EINVAL, Error};
use std::{
    future::Future,
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// How long a client that does not read may keep a server from ending.
const LINGER: Duration = Duration::from_secs(5);
/// How often a connection looks up from waiting.
const BEAT: Duration = Duration::from_secs(1);
/// After so many beats without a request a connection is idle.
const IDLE: u32 = 2;

/// Whether more requests are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// Yes.
    Open,
    /// What has arrived is still looked at; nothing more is read.
    Ended,
    /// Nothing more is even looked at.
    Closed,
}

/// Where a connection stands.
pub struct State<'c> {
    wire: &'c Wire,
    connection: &'c Connection,
    threads: usize,
    /// What has arrived.
    pub inbox: Inbox,
    /// What is to be sent.
    pub outbox: Outbox,
    /// What is under way.
    pub flight: Flight<'c>,
    /// Whether more requests are taken.
    pub intake: Intake,
    /// The client has said goodbye.
    pub polite: bool,
    /// The server is about to end, or the client is sent away.
    pub stopping: bool,
    /// The client cannot be told anything any more.
    pub broken: bool,
    /// A request that waits until others have let go of their payloads.
    pub held: Option<(Request, Buf)>,
    /// Why the connection ends, if it should not have.
    pub failure: Option<Error>,
    /// When a client that does not read is given up.
    linger: Timer,
    beat: Timer,
    /// Beats since there was something to do.
    quiet: u32,
}

impl<'c> State<'c> {
    /// At the beginning. `early` has been received already.
    pub fn new(transmission: &Transmission<'c>, early: &[u8]) -> State<'c> {
        let Transmission { wire, connection, threads, disk, .. } = *transmission;
        // Many say nothing for long after the handshake.
        wire.rest();
        State {
            wire,
            connection,
            threads,
            inbox: Inbox::new(connection.pool().clone(), early),
            outbox: Outbox::default(),
            flight: Flight::new(disk, connection.pool(), wire.sendable_files()),
            intake: Intake::Open,
            polite: false,
            stopping: false,
            broken: false,
            held: None,
            failure: None,
            linger: Timer::never(),
            beat: Timer::after(BEAT),
            quiet: IDLE,
        }
    }

    /// Reads on only when what was read can be begun: the socket's buffer, not ours, is where requests wait.
    pub fn wants_input(&self) -> bool {
        self.intake == Intake::Open
            && self.held.is_none()
            && self.flight.len() < self.threads
            && self.outbox.bytes() < BATCH
    }

    /// Takes no more requests.
    pub fn end_intake(&mut self, intake: Intake) {
        if self.intake != Intake::Closed {
            self.intake = intake;
        }
    }

    /// Nothing is left to be done.
    pub fn over(&self) -> bool {
        self.intake == Intake::Closed
            && self.flight.is_empty()
            && self.outbox.is_empty()
            && self.held.is_none()
    }

    /// The client has sent something.
    pub fn heard(&mut self) {
        self.quiet = 0;
    }

    /// The server is about to end, or the client is sent away.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.end_intake(Intake::Ended);
        self.be_patient();
    }

    /// Gives the client time to read.
    pub fn be_patient(&mut self) {
        self.linger.set_after(LINGER);
    }

    /// Ready when the client had its time; only when stopping.
    pub fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.stopping {
            true => Pin::new(&mut self.linger).poll(cx).map(drop),
            false => Poll::Pending,
        }
    }

    /// Gives up a client that did not read what there is.
    pub fn late(&mut self) {
        match self.outbox.is_empty() {
            true => self.be_patient(),
            false => self.lose(),
        }
    }

    /// Ready about once a second, unless the connection is idle.
    pub fn poll_beat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.quiet < IDLE || !self.flight.is_empty() {
            true => Pin::new(&mut self.beat).poll(cx).map(drop),
            false => Poll::Pending,
        }
    }

    /// Looks whether a client whose requests take long is still there; gives back the buffers of one that asks for
    /// nothing.
    pub fn beat(&mut self) {
        self.beat.set_after(BEAT);
        if !self.flight.is_empty() {
            if !self.wants_input() && self.wire.hung_up() {
                self.lose();
            }
            return;
        }
        self.quiet += 1;
        if self.quiet == IDLE {
            self.inbox.rest();
            self.wire.rest();
            self.connection.pool().clear();
        }
    }

    /// Nothing more is read, and what had arrived has been looked at.
    pub fn all_seen(&mut self) {
        if self.inbox.in_message() && self.failure.is_none() && !self.stopping {
            let message = "client closed the connection in the middle of a request";
            self.failure = Some(Error::new(EINVAL, message));
        }
        self.end_intake(Intake::Closed);
        if self.wire.hung_up() {
            self.lose();
        }
    }

    /// Reading or writing failed. Somebody who just hangs up is not worth a line.
    pub fn fail(&mut self, error: io::Error, what: &'static str) {
        let hung_up = matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
        if !hung_up && self.failure.is_none() {
            self.failure = Some(Error::io(error, what));
        }
        self.lose();
    }

    /// The client is out of reach. What sleeps on its behalf is woken, unless it has said goodbye: then `finalize` is
    /// still to come.
    pub fn lose(&mut self) {
        self.broken = true;
        self.held = None;
        self.outbox = Outbox::default();
        self.end_intake(Intake::Closed);
        if !self.polite {
            self.connection.disconnect();
        }
    }
}
