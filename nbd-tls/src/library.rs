// SPDX-License-Identifier: BSD-3-Clause
//! What an engine wants of a TLS library.

use crate::{Error, Session, buffer::Buffer};

/// The two directions of ciphertext.
#[derive(Default)]
pub(crate) struct Wire {
    /// From the peer.
    pub input: Buffer,
    /// To the peer.
    pub output: Buffer,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Handshaking,
    /// All that has arrived is dealt with.
    Open,
    /// There is plaintext to be read.
    Plaintext,
    /// The peer has said that it will send no more, and all it had sent was read.
    Ended,
}

/// One connection in a TLS library.
///
/// Neither method is called again once one has failed. The alert that belongs to the failure is in `wire.output` by then.
pub(crate) trait Library: Send + Sync {
    /// Deals with `wire.input`: handshake, alerts, updates of keys. Plaintext goes into `buf` from `filled` on, and when that is
    /// full one record is looked ahead, so that the state is known.
    ///
    /// `filled` also counts if this fails: what came before the failure is good.
    fn advance(&mut self, wire: &mut Wire, buf: &mut [u8], filled: &mut usize) -> Result<State, Error>;

    /// Encrypts all of `plain`. Only called after the handshake, and before `close`.
    fn encrypt(&mut self, wire: &mut Wire, plain: &[u8]) -> Result<(), Error>;

    /// Puts close_notify into `wire.output`. Nothing is called afterwards.
    fn close(&mut self, wire: &mut Wire);

    /// What was agreed. Only called after the handshake.
    fn session(&self) -> Session;

    /// Gives the memory of empty buffers back.
    fn rest(&mut self);
}
