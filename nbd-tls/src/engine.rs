// SPDX-License-Identifier: BSD-3-Clause
//! One TLS connection: bytes in, bytes out.

use crate::{
    Error, ErrorKind, Session,
    library::{Library, State, Wire},
};
use std::{fmt, io::IoSlice};

/// Plaintext of one record.
const RECORD: usize = 16 << 10;
/// Room that is lent for what the peer sends: a few small requests in the beginning, then up to what a large write needs.
const LEAST_ROOM: usize = 16 << 10;
const MOST_INPUT: usize = 256 << 10;
/// No more is encrypted while so much waits to be sent; and then so much more at once that a reply of 256 KiB and its head leave together.
const MOST_OUTPUT: usize = 256 << 10;
/// With so much waiting the peer has had answers to updates of keys, and does not read: OpenSSL would go on without end.
const MOST_ANSWERS: usize = 2 * MOST_OUTPUT;

/// One TLS connection, either half: a state machine that owns no socket.
///
/// Call order: whenever bytes arrive, [`feed`](Engine::feed) (or [`room`](Engine::room) and [`arrived`](Engine::arrived)); then
/// [`read`](Engine::read) until it says [`Read::Nothing`]; whenever [`output`](Engine::output) is not empty, send it and say how
/// much went with [`sent`](Engine::sent). After an error send what is in `output` (the alert), then close the transport.
pub struct Engine {
    library: Box<dyn Library>,
    wire: Wire,
    state: State,
    session: Option<Session>,
    /// The room that is lent next.
    room: usize,
    /// Small pieces that are to share a record.
    gathered: Vec<u8>,
    /// `close` was called.
    closed: bool,
    /// `eof` was called.
    cut: bool,
    failure: Option<Error>,
}

/// What [`Engine::read`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many bytes, at least one.
    Some(usize),
    /// Nothing has arrived yet.
    Nothing,
    /// The peer has closed in good order (or [`Engine::close`] was called); nothing will come.
    End,
    /// The transport has ended and the peer has not said that it would: what was read may be incomplete.
    Cut,
}

impl Engine {
    /// A client speaks first: its hello is in `output` from the start.
    pub(crate) fn new(library: impl Library + 'static) -> Result<Engine, Error> {
        let mut engine = Engine {
            library: Box::new(library),
            wire: Wire::default(),
            state: State::Handshaking,
            session: None,
            room: LEAST_ROOM,
            gathered: Vec::new(),
            closed: false,
            cut: false,
            failure: None,
        };
        engine.advance(&mut [])?;
        Ok(engine)
    }

    /// Room into which ciphertext may be received, without the copy that `feed` makes. Say with [`arrived`](Engine::arrived) how
    /// much it was. Empty only while plaintext waits to be read.
    pub fn room(&mut self) -> &mut [u8] {
        let least = self.room.min(MOST_INPUT.saturating_sub(self.wire.input.len()));
        let room = self.wire.input.room(least);
        let most = room.len().min(least);
        room.get_mut(..most).unwrap_or_default()
    }

    /// So many bytes of ciphertext were put at the front of `room`.
    ///
    /// # Errors
    /// As `feed`.
    pub fn arrived(&mut self, n: usize) -> Result<(), Error> {
        if n >= self.room {
            self.room = MOST_INPUT.min(2 * self.room);
        }
        self.wire.input.filled_up(n);
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match self.state {
            _ if self.closed => self.wire.input.clear(),
            State::Plaintext => {}
            State::Ended => self.wire.input.clear(),
            State::Handshaking | State::Open => {
                self.advance(&mut [])?;
            }
        }
        Ok(())
    }

    /// Takes ciphertext from the peer; how many bytes were taken (fewer than given only while plaintext waits to be read).
    ///
    /// # Errors
    /// The connection is over: the handshake failed, or the peer broke the rules. An alert may wait in `output`: send it, then
    /// close.
    pub fn feed(&mut self, ciphertext: &[u8]) -> Result<usize, Error> {
        let mut rest = ciphertext;
        while !rest.is_empty() {
            let room = self.room();
            let n = room.len().min(rest.len());
            let (now, later) = rest.split_at(n);
            if n == 0 {
                break;
            }
            if let Some(room) = room.get_mut(..n) {
                room.copy_from_slice(now);
            }
            rest = later;
            self.arrived(n)?;
        }
        Ok(ciphertext.len() - rest.len())
    }

    /// The transport has ended: nothing more will be fed.
    ///
    /// # Errors
    /// It ended within the handshake.
    pub fn eof(&mut self) -> Result<(), Error> {
        self.cut = true;
        if self.failure.is_none() && !self.closed && self.is_handshaking() {
            self.failure = Some(Error::new(ErrorKind::Cut, "connection closed during the TLS handshake"));
        }
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Decrypted bytes, as many as there are and fit. (Records are decrypted here, straight into `buf` where they fit.)
    ///
    /// # Errors
    /// As `feed`.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<Read, Error> {
        match self.state {
            _ if self.closed => return Ok(Read::End),
            State::Plaintext if buf.is_empty() => return Ok(Read::Nothing),
            State::Plaintext if self.failure.is_none() => match self.advance(buf) {
                Err(error) => return Err(error),
                Ok(0) => {}
                Ok(n) => return Ok(Read::Some(n)),
            },
            _ => {}
        }
        match (&self.failure, self.state) {
            (Some(failure), _) => Err(failure.clone()),
            (None, State::Ended) => Ok(Read::End),
            (None, _) if self.cut => Ok(Read::Cut),
            (None, _) => Ok(Read::Nothing),
        }
    }

    /// Whether `read` would say something other than [`Read::Nothing`].
    pub fn readable(&self) -> bool {
        self.closed
            || self.cut
            || self.failure.is_some()
            || matches!(self.state, State::Plaintext | State::Ended)
    }

    /// Encrypts; how many bytes of plaintext were taken: as much as fits a bound of about 256 KiB of output that was not
    /// sent yet, and nothing before the handshake is done or after `close`.
    ///
    /// # Errors
    /// The connection is over.
    pub fn write(&mut self, plain: &[IoSlice<'_>]) -> Result<usize, Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let waiting = self.wire.output.len();
        if self.is_handshaking() || self.closed || waiting >= MOST_OUTPUT {
            return Ok(0);
        }
        self.encrypt(plain, MOST_OUTPUT + RECORD - waiting).inspect_err(|error| {
            self.failure = Some(error.clone());
        })
    }

    /// Ciphertext that is to be sent to the peer.
    pub fn output(&self) -> &[u8] {
        self.wire.output.filled()
    }

    /// So many bytes of `output` have been sent.
    pub fn sent(&mut self, n: usize) {
        self.wire.output.consume(n);
    }

    /// Says to the peer that nothing more will be written (queues close_notify), and listens no more: what still arrives is
    /// ignored.
    pub fn close(&mut self) {
        if !self.closed && self.failure.is_none() {
            self.library.close(&mut self.wire);
        }
        self.closed = true;
        self.wire.input.clear();
    }

    /// The connection is about to wait for long: gives back the memory of buffers that are empty. (They are kept otherwise: a
    /// busy connection shall not allocate.)
    pub fn rest(&mut self) {
        self.wire.input.rest();
        self.wire.output.rest();
        self.gathered = Vec::new();
        self.room = LEAST_ROOM;
        self.library.rest();
    }

    /// Whether the handshake is not done yet.
    pub fn is_handshaking(&self) -> bool {
        self.state == State::Handshaking
    }

    /// After the handshake: what was agreed.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Lets the library work; how many bytes of `buf` it filled. A failure behind them is told by the next call.
    fn advance(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let (mut filled, was) = (0, self.state);
        match self.library.advance(&mut self.wire, buf, &mut filled) {
            Ok(state) => self.state = state,
            Err(error) => self.failure = Some(error),
        }
        if was == State::Handshaking && self.state != State::Handshaking {
            self.session = Some(self.library.session());
        }
        // A record is 18 KiB at most: this is a message of the handshake, in crumbs.
        let stuck =
            matches!(self.state, State::Handshaking | State::Open) && self.wire.input.len() >= MOST_INPUT;
        let flooded = self.wire.output.len() > MOST_ANSWERS;
        let why = match (stuck, flooded) {
            (true, _) => Some("peer sent a TLS handshake message in too many pieces"),
            (_, true) => Some("peer asks for new TLS keys and does not read the answers"),
            _ => None,
        };
        if let (Some(why), None) = (why, &self.failure) {
            self.failure = Some(Error::new(ErrorKind::Protocol, why));
        }
        match &self.failure {
            Some(failure) if filled == 0 => Err(failure.clone()),
            _ => Ok(filled),
        }
    }

    /// Encrypts up to `most` bytes in as few records as can be: small pieces are put together first.
    fn encrypt(&mut self, plain: &[IoSlice<'_>], most: usize) -> Result<usize, Error> {
        let mut left = most;
        for (i, piece) in plain.iter().enumerate() {
            let mut piece = piece.get(..left.min(piece.len())).unwrap_or_default();
            left -= piece.len();
            let last = i + 1 == plain.len() || left == 0;
            if !self.gathered.is_empty() || (piece.len() < RECORD && !last) {
                let (front, back) = piece.split_at(piece.len().min(RECORD - self.gathered.len()));
                self.gathered.extend_from_slice(front);
                piece = back;
                if self.gathered.len() == RECORD {
                    self.flush_gathered()?;
                }
            }
            let whole = if last { piece.len() } else { piece.len() / RECORD * RECORD };
            let (front, back) = piece.split_at(whole);
            if !front.is_empty() {
                self.library.encrypt(&mut self.wire, front)?;
            }
            self.gathered.extend_from_slice(back);
            if left == 0 {
                break;
            }
        }
        self.flush_gathered()?;
        Ok(most - left)
    }

    fn flush_gathered(&mut self) -> Result<(), Error> {
        if !self.gathered.is_empty() {
            self.library.encrypt(&mut self.wire, &self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("state", &self.state)
            .field("session", &self.session)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
