// SPDX-License-Identifier: BSD-3-Clause
//! [`Inbox`]: from the bytes that come in to requests with their payloads.

use crate::wire::Wire;
use nbd_proto::{
    Request,
    server::{Decoded, Fatal, Refusal, Session},
};
use nbdkit_plugin::{Buf, BufMut, Pool};
use std::io::{self, IoSliceMut};

/// One system call takes up to this much. Requests are 28 bytes, so that is a whole queue of small writes.
const CAPACITY: usize = 64 << 10;
/// As much as a client gets that only reads, or does nothing: a queue of 16 reads.
const FEW: usize = 512;

/// Buffers heads; payloads of writes go straight to their own buffers as far as they have not arrived with the heads.
pub struct Inbox {
    pool: Pool,
    few: [u8; FEW],
    /// In place of `few` since those were too few; until the client goes idle.
    buf: Option<BufMut>,
    start: usize,
    end: usize,
    partial: Partial,
}

/// A request of which not everything has arrived.
enum Partial {
    None,
    Write { request: Request, payload: BufMut, filled: usize },
    Skip { refusal: Refusal, left: usize },
}

/// The next thing the client said.
pub enum Next {
    /// A request; with its payload if it is a write.
    Request(Request, Buf),
    /// A request that fails. Its payload has been skipped.
    Refuse(Refusal),
    /// `NBD_CMD_DISC`.
    Disconnect,
    /// Nothing complete: [`Inbox::fill`] first.
    Nothing,
    /// The connection cannot go on.
    Fatal(Fatal),
}

/// What reading brought.
#[derive(PartialEq, Eq)]
pub enum Filled {
    /// Something.
    Some,
    /// Nothing yet.
    Nothing,
    /// The client has closed its side.
    End,
}

impl Inbox {
    /// `early` came with the last bytes of the handshake.
    pub fn new(pool: Pool, early: &[u8]) -> Inbox {
        // The handshake reads in smaller steps than CAPACITY.
        let end = early.len().min(CAPACITY);
        let buf = (end >= FEW).then(|| pool.get(CAPACITY));
        let mut inbox = Inbox { pool, few: [0; FEW], buf, start: 0, end, partial: Partial::None };
        inbox.buffer()[..end].copy_from_slice(&early[..end]);
        inbox
    }

    /// The next complete request, of those that have arrived.
    pub fn next(&mut self, session: &Session) -> Next {
        loop {
            match self.resume() {
                Some(next) => return next,
                None if !matches!(self.partial, Partial::None) => return Next::Nothing,
                None => {}
            }
            match session.decode(self.bytes()) {
                Decoded::NeedInput(_) => return Next::Nothing,
                Decoded::Request { request, consumed } => {
                    self.start += consumed;
                    match request.payload() as usize {
                        0 => return Next::Request(request, Buf::default()),
                        len => {
                            let payload = self.pool.get(len);
                            self.partial = Partial::Write { request, payload, filled: 0 };
                        }
                    }
                }
                Decoded::Refuse { refusal, consumed } => {
                    self.start += consumed;
                    self.partial = Partial::Skip { refusal, left: refusal.payload_to_skip as usize };
                }
                Decoded::Disconnect { consumed } => {
                    self.start += consumed;
                    return Next::Disconnect;
                }
                Decoded::Fatal(fatal) => return Next::Fatal(fatal),
            }
        }
    }

    /// Moves what has arrived into the request that is under way; the request, if that completes it.
    fn resume(&mut self) -> Option<Next> {
        let ready = self.end - self.start;
        match &mut self.partial {
            Partial::None => None,
            Partial::Skip { refusal, left } => {
                let take = ready.min(*left);
                self.start += take;
                *left -= take;
                let refusal = *refusal;
                (*left == 0).then(|| {
                    self.partial = Partial::None;
                    Next::Refuse(refusal)
                })
            }
            Partial::Write { payload, filled, .. } => {
                let take = ready.min(payload.len() - *filled);
                let bytes = self.buf.as_deref().unwrap_or(&self.few);
                payload[*filled..*filled + take].copy_from_slice(&bytes[self.start..self.start + take]);
                self.start += take;
                *filled += take;
                if *filled < payload.len() {
                    return None;
                }
                match std::mem::replace(&mut self.partial, Partial::None) {
                    Partial::Write { request, payload, .. } => Some(Next::Request(request, payload.freeze())),
                    _ => None,
                }
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.buf.as_deref().unwrap_or(&self.few)[self.start..self.end]
    }

    fn buffer(&mut self) -> &mut [u8] {
        self.buf.as_deref_mut().unwrap_or(&mut self.few)
    }

    /// Reads once. What is still missing of a payload goes where it belongs, what follows goes into the buffer, in one
    /// system call.
    pub fn fill(&mut self, wire: &Wire) -> io::Result<Filled> {
        // Requests have been left for later: those behind them can wait in the socket.
        if self.end - self.start > CAPACITY / 2 {
            return Ok(Filled::Some);
        }
        self.compact();
        let room = &mut self.buf.as_deref_mut().unwrap_or(&mut self.few)[self.end..];
        let read = match &mut self.partial {
            Partial::Write { payload, filled, .. } => {
                let mut slices = [IoSliceMut::new(&mut payload[*filled..]), IoSliceMut::new(room)];
                let read = wire.try_read(&mut slices)?;
                if let Some(read) = read {
                    let direct = read.min(payload.len() - *filled);
                    *filled += direct;
                    self.end += read - direct;
                }
                read
            }
            _ => {
                let read = wire.try_read(&mut [IoSliceMut::new(room)])?;
                self.end += read.unwrap_or(0);
                read
            }
        };
        if self.end == FEW && self.buf.is_none() {
            self.grow();
        }
        Ok(match read {
            None => Filled::Nothing,
            Some(0) => Filled::End,
            Some(_) => Filled::Some,
        })
    }

    /// Makes room behind the bytes that wait. They are mostly less than one request head, because
    /// [`next`](Inbox::next) has taken everything else.
    fn compact(&mut self) {
        if self.start > 0 {
            let waiting = self.start..self.end;
            self.buffer().copy_within(waiting.clone(), 0);
            (self.start, self.end) = (0, waiting.len());
        }
    }

    /// More came than a client sends that only reads.
    fn grow(&mut self) {
        let mut buf = self.pool.get(CAPACITY);
        buf[..FEW].copy_from_slice(&self.few);
        self.buf = Some(buf);
    }

    /// Whether a part of a message has arrived; to be asked when [`next`](Inbox::next) has nothing complete.
    pub fn in_message(&self) -> bool {
        self.start < self.end || !matches!(self.partial, Partial::None)
    }

    /// Nothing is under way and nothing waits: makes do with little again.
    pub fn rest(&mut self) {
        if !self.in_message() {
            self.buf = None;
            (self.start, self.end) = (0, 0);
        }
    }
}
