// SPDX-License-Identifier: BSD-3-Clause
//! [`Outbox`]: requests that are to be sent, described rather than copied.

use crate::transport::Transport;
use nbd_proto::Head;
use nbdkit_plugin::Buf;
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

/// How many pieces one system call takes.
const MANY: usize = 64;

enum Piece {
    Head(Head),
    Payload(Buf),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Head(head) => head,
            Piece::Payload(buf) => buf,
        }
    }
}

/// What is to be sent, in that order.
#[derive(Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    /// How much of the first one has been sent.
    sent: usize,
    /// How many bytes there are.
    bytes: usize,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How many bytes are to be sent.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A request, and what follows it.
    pub(crate) fn push(&mut self, head: Head, payload: Buf) {
        self.bytes += head.len() + payload.len();
        self.pieces.push_back(Piece::Head(head));
        if !payload.is_empty() {
            self.pieces.push_back(Piece::Payload(payload));
        }
    }

    /// Sends what goes now; whether that was all.
    pub(crate) fn send(&mut self, transport: &mut Transport) -> io::Result<bool> {
        while !self.is_empty() {
            let mut bufs = [IoSlice::new(&[]); MANY];
            let mut skip = self.sent;
            let (mut count, mut asked) = (0, 0);
            for (slot, piece) in bufs.iter_mut().zip(&self.pieces) {
                let rest = piece.bytes().get(skip..).unwrap_or_default();
                skip = 0;
                *slot = IoSlice::new(rest);
                count += 1;
                asked += rest.len();
            }
            let sent = transport.try_write(bufs.get(..count).unwrap_or_default())?;
            self.advance(sent);
            if sent < asked {
                return Ok(false);
            }
        }
        transport.try_flush()
    }

    fn advance(&mut self, sent: usize) {
        self.bytes -= sent;
        self.sent += sent;
        while let Some(first) = self.pieces.front() {
            let len = first.bytes().len();
            if self.sent < len {
                return;
            }
            self.sent -= len;
            self.pieces.pop_front();
        }
    }

    /// Forgets everything: nothing goes any more.
    pub(crate) fn clear(&mut self) {
        *self = Outbox::default();
    }
}
