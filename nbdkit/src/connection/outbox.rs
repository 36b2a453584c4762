// SPDX-License-Identifier: BSD-3-Clause
//! [`Outbox`]: what is to be sent, in the order of sending, described rather than copied.

use crate::wire::Wire;
use nbd_proto::Head;
use nbdkit_plugin::{Buf, FileRange};
use std::io::{self, IoSlice};

/// How many pieces one system call takes at most; Linux allows 1024 (`IOV_MAX`).
const MANY: usize = 128;
/// A short list costs less to set up, and most of what is sent is a reply or two.
const FEW: usize = 8;
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

enum Piece {
    Head(Head),
    Bytes(Buf),
    Zeroes(u64),
    Text(Vec<u8>),
    File(FileRange),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Piece::Head(head) => head.len() as u64,
            Piece::Bytes(buf) => buf.len() as u64,
            Piece::Zeroes(len) => *len,
            Piece::Text(text) => text.len() as u64,
            Piece::File(range) => range.len(),
        }
    }

    /// What of it can be sent at once, after `skip` bytes. Long zeroes go in several pieces. `None`: it is in a file.
    fn rest(&self, skip: u64) -> Option<&[u8]> {
        match self {
            Piece::Head(head) => Some(&head[skip as usize..]),
            Piece::Bytes(buf) => Some(&buf[skip as usize..]),
            Piece::Zeroes(len) => Some(&ZEROES[..ZEROES.len().min((len - skip) as usize)]),
            Piece::Text(text) => Some(&text[skip as usize..]),
            Piece::File(_) => None,
        }
    }
}

/// What is to be sent.
#[derive(Default)]
pub struct Outbox {
    pieces: Vec<Piece>,
    /// How many of them have been sent, and are kept until all have.
    done: usize,
    /// How much of the next one has been sent.
    sent: u64,
    bytes: u64,
}

impl Outbox {
    /// How many bytes are to be sent.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True if all has been sent.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    fn push(&mut self, piece: Piece) {
        let len = piece.len();
        if len > 0 {
            self.bytes += len;
            self.pieces.push(piece);
        }
    }

    /// The head of a message.
    pub fn head(&mut self, head: Head) {
        self.push(Piece::Head(head));
    }

    /// Payload in memory.
    pub fn data(&mut self, buf: Buf) {
        self.push(Piece::Bytes(buf));
    }

    /// Payload that is zeroes.
    pub fn zeroes(&mut self, len: u64) {
        self.push(Piece::Zeroes(len));
    }

    /// Payload in a file, which the wire can send.
    pub fn file(&mut self, range: FileRange) {
        self.push(Piece::File(range));
    }

    /// A message of variable length.
    pub fn text(&mut self, text: Vec<u8>) {
        self.push(Piece::Text(text));
    }

    /// Sends what the socket takes, now. How many bytes that were.
    pub fn send(&mut self, wire: &Wire) -> io::Result<u64> {
        let mut total = 0;
        while !self.is_empty() {
            let (asked, sent) = match self.pieces.get(self.done) {
                Some(Piece::File(range)) => {
                    (range.len() - self.sent, wire.try_send(range, self.sent)?.unwrap_or(0) as u64)
                }
                _ if self.pieces.len() - self.done <= FEW => self.write::<FEW>(wire)?,
                _ => self.write::<MANY>(wire)?,
            };
            self.advance(sent);
            total += sent;
            if sent < asked {
                // The socket is full: another call would only say so.
                break;
            }
        }
        Ok(total)
    }

    /// One system call with up to `N` pieces, none of which is in a file: how many bytes it was given, and how many it took.
    fn write<const N: usize>(&self, wire: &Wire) -> io::Result<(u64, u64)> {
        let mut bufs = [IoSlice::new(&[]); N];
        let mut skip = self.sent;
        let (mut count, mut asked, mut more) = (0, 0, false);
        for (slot, piece) in bufs.iter_mut().zip(&self.pieces[self.done..]) {
            let Some(rest) = piece.rest(skip) else {
                more = true;
                break;
            };
            *slot = IoSlice::new(rest);
            count += 1;
            asked += rest.len() as u64;
            let whole = rest.len() as u64 == piece.len() - skip;
            skip = 0;
            if !whole {
                break;
            }
        }
        let sent = wire.try_write(&bufs[..count], more)?.unwrap_or(0);
        Ok((asked, sent as u64))
    }

    fn advance(&mut self, mut sent: u64) {
        self.bytes -= sent;
        while let Some(next) = self.pieces.get_mut(self.done) {
            let left = next.len() - self.sent;
            if sent < left {
                self.sent += sent;
                // A client that is always a little behind must not make the list grow for ever.
                if self.done >= MANY {
                    self.pieces.drain(..self.done);
                    self.done = 0;
                }
                return;
            }
            sent -= left;
            self.sent = 0;
            self.done += 1;
            // Its buffer goes home now, not when the last piece has been sent.
            *next = Piece::Zeroes(0);
        }
        self.pieces.clear();
        self.done = 0;
    }
}
