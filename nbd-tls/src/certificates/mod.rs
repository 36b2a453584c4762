// SPDX-License-Identifier: BSD-3-Clause
//! TLS with certificates: rustls, driven by its unbuffered API.
//!
//! 256 KiB take 31 us to encrypt and 31 us to decrypt by that API, 47 and 35 us by the buffered one, which keeps a vector for each record
//! until it is written; the bare AEAD of ring takes 28 and 27 us with one copy (AES-128-GCM, one thread of an EPYC with VAES). So a record
//! layer of our own would gain a tenth, which it would not be worth.

mod explain;
mod resolver;
mod trust;

#[cfg(feature = "psk")]
pub(crate) use explain::alert_name;
pub(crate) use explain::explain;
pub(crate) use resolver::Resolver;
pub(crate) use trust::{Anybody, client_verifier, server_verifier};

use crate::{
    Error, ErrorKind, Session,
    buffer::Buffer,
    library::{Library, State, Wire},
    session,
};
use rustls::{
    CommonState, ProtocolVersion,
    client::{ClientConnectionData, UnbufferedClientConnection},
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic},
};
use std::ops::Deref;

/// What a record may add to its plaintext: header, explicit nonce, type and tag; and a bit.
const OVERHEAD: usize = 64;
const RECORD: usize = 16 << 10;

/// A connection of rustls. Between calls it holds no plaintext: `ahead` does.
pub(crate) struct Certificates<C> {
    connection: C,
    /// Plaintext of the record that was looked ahead.
    ahead: Buffer,
}

/// Either half, whose methods have no trait in rustls.
pub(crate) trait Half: Send + Sync {
    type Data;
    /// Whose certificate the peer's is, for messages.
    const PEER: &'static str;
    fn common(&self) -> &CommonState;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Half for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    const PEER: &'static str = "client";
    fn common(&self) -> &CommonState {
        self.deref()
    }
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }
}

impl Half for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    const PEER: &'static str = "server";
    fn common(&self) -> &CommonState {
        self.deref()
    }
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }
}

impl<C: Half> Certificates<C> {
    pub fn new(connection: C) -> Certificates<C> {
        Certificates { connection, ahead: Buffer::default() }
    }

    /// Puts the alert that rustls has queued with a failure into the output. The input is passed again as it was left: a message
    /// that is not complete may lie in it, of which rustls knows the place.
    fn alert(&mut self, wire: &mut Wire) {
        while self.connection.common().wants_write() {
            let status = self.connection.process(wire.input.filled_mut());
            let ConnectionState::EncodeTlsData(data) = (match status.state {
                Ok(state) => state,
                Err(_) => return,
            }) else {
                return;
            };
            let discard = status.discard;
            if encode(data, &mut wire.output).is_err() {
                return;
            }
            wire.input.consume(discard);
        }
    }

    /// Calls `write` as soon as rustls would write.
    fn when_writable(
        &mut self,
        wire: &mut Wire,
        mut write: impl FnMut(WriteTraffic<'_, C::Data>, &mut Buffer) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            // While plaintext waits the next record is left alone: rustls would want to hand it over first. Nothing of the input is
            // known to it then, since a message of the handshake cannot be spread around application data.
            let input = match self.ahead.is_empty() {
                true => wire.input.filled_mut(),
                false => &mut [],
            };
            let UnbufferedStatus { discard, state } = self.connection.process(input);
            let done = match state.map_err(|error| explain(error, C::PEER))? {
                ConnectionState::EncodeTlsData(data) => encode(data, &mut wire.output).map(|()| false)?,
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    false
                }
                ConnectionState::WriteTraffic(traffic) => write(traffic, &mut wire.output).map(|()| true)?,
                ConnectionState::PeerClosed => false,
                state => return Err(internal(format!("rustls cannot write in {state:?}"))),
            };
            wire.input.consume(discard);
            if done {
                return Ok(());
            }
        }
    }
}

impl<C: Half> Library for Certificates<C> {
    fn advance(&mut self, wire: &mut Wire, buf: &mut [u8], filled: &mut usize) -> Result<State, Error> {
        loop {
            *filled += self.ahead.take(buf.get_mut(*filled..).unwrap_or_default());
            if !self.ahead.is_empty() {
                return Ok(State::Plaintext);
            }
            let UnbufferedStatus { discard, state } = self.connection.process(wire.input.filled_mut());
            let stop = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        // An error is never given here: records are decrypted before this state is told.
                        let Ok(record) = record else { break };
                        let room = buf.get_mut(*filled..).unwrap_or_default();
                        let (now, later) = record.payload.split_at(record.payload.len().min(room.len()));
                        if let Some(room) = room.get_mut(..now.len()) {
                            room.copy_from_slice(now);
                        }
                        *filled += now.len();
                        self.ahead.append(later);
                    }
                    None
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut wire.output)?;
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::BlockedHandshake) => Some(State::Handshaking),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Some(State::Ended),
                Ok(ConnectionState::WriteTraffic(_)) => Some(State::Open),
                Ok(state) => return Err(internal(format!("rustls is in {state:?}"))),
                Err(error) => {
                    let error = explain(error, C::PEER);
                    wire.input.consume(discard);
                    self.alert(wire);
                    return Err(error);
                }
            };
            wire.input.consume(discard);
            if let Some(state) = stop {
                return Ok(state);
            }
        }
    }

    fn encrypt(&mut self, wire: &mut Wire, plain: &[u8]) -> Result<(), Error> {
        self.when_writable(wire, |mut traffic, output| {
            let mut size = plain.len() + (plain.len() / RECORD + 1) * OVERHEAD;
            loop {
                match traffic.encrypt(plain, output.room(size)) {
                    Ok(n) => {
                        output.filled_up(n);
                        return Ok(());
                    }
                    // An update of keys goes first.
                    Err(EncryptError::InsufficientSize(wanted)) if wanted.required_size > size => {
                        size = wanted.required_size;
                    }
                    Err(error) => return Err(internal(error.to_string())),
                }
            }
        })
    }

    fn close(&mut self, wire: &mut Wire) {
        if self.connection.common().is_handshaking() {
            return; // there are no keys yet, and a close in plain text would prove nothing
        }
        // If this fails the peer will find the connection cut, which it is.
        let _ = self.when_writable(wire, |mut traffic, output| {
            let n = traffic
                .queue_close_notify(output.room(RECORD))
                .map_err(|error| internal(error.to_string()))?;
            output.filled_up(n);
            Ok(())
        });
    }

    fn session(&self) -> Session {
        let common = self.connection.common();
        Session {
            version: match common.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLS1.2",
                _ => "TLS1.3",
            },
            cipher: common
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_"))
                .unwrap_or_default(),
            certificate: common.peer_certificates().and_then(|chain| session::describe(chain.first()?)),
            psk_identity: None,
        }
    }

    fn rest(&mut self) {
        self.ahead.rest();
    }
}

/// A record that rustls has made goes to the output.
fn encode<D>(mut data: rustls::unbuffered::EncodeTlsData<'_, D>, output: &mut Buffer) -> Result<(), Error> {
    let mut size = RECORD / 4;
    loop {
        match data.encode(output.room(size)) {
            Ok(n) => {
                output.filled_up(n);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(wanted)) if wanted.required_size > size => {
                size = wanted.required_size;
            }
            Err(error) => return Err(internal(error.to_string())),
        }
    }
}

/// What cannot be, unless this file or rustls is wrong; but nothing that a peer sends shall make us panic.
fn internal(message: String) -> Error {
    Error::new(ErrorKind::Protocol, format!("TLS: {message}"))
}
