// SPDX-License-Identifier: BSD-3-Clause
//! A connection of OpenSSL over two buffers in memory.

use super::{
    explain::explain,
    halves::{Lookup, unusable},
};
use crate::{
    Error, Session,
    buffer::Buffer,
    library::{Library, State, Wire},
};
use openssl::{
    ex_data::Index,
    ssl::{ErrorCode, Ssl, SslStream},
};
use std::{
    io::{self, Read, Write},
    mem,
};

/// The largest plaintext of a record.
const RECORD: usize = 16 << 10;

/// A connection of OpenSSL. The engine's wire is lent to its stream for each call.
pub(crate) struct Psk {
    stream: SslStream<Wire>,
    handshaking: bool,
    who: Who,
    /// Plaintext of the record that was looked ahead.
    ahead: Buffer,
}

/// Which half it is, and where it has the name of the key.
enum Who {
    Server(Index<Ssl, Lookup>),
    Client(String),
}

impl Psk {
    pub fn server(mut ssl: Ssl, lookup: Index<Ssl, Lookup>) -> Result<Psk, Error> {
        ssl.set_ex_data(lookup, Lookup::default());
        Psk::new(ssl, Who::Server(lookup))
    }

    pub fn client(ssl: Ssl, user: String) -> Result<Psk, Error> {
        Psk::new(ssl, Who::Client(user))
    }

    fn new(ssl: Ssl, who: Who) -> Result<Psk, Error> {
        let stream = SslStream::new(ssl, Wire::default()).map_err(unusable)?;
        Ok(Psk { stream, handshaking: true, who, ahead: Buffer::default() })
    }

    fn with<T>(&mut self, wire: &mut Wire, run: impl FnOnce(&mut Psk) -> T) -> T {
        mem::swap(wire, self.stream.get_mut());
        let result = run(self);
        mem::swap(wire, self.stream.get_mut());
        result
    }

    fn work(&mut self, buf: &mut [u8], filled: &mut usize) -> Result<State, openssl::ssl::Error> {
        if self.handshaking {
            match self.stream.do_handshake() {
                Ok(()) => self.handshaking = false,
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(State::Handshaking),
                Err(error) => return Err(error),
            }
        }
        loop {
            *filled += self.ahead.take(buf.get_mut(*filled..).unwrap_or_default());
            if !self.ahead.is_empty() {
                return Ok(State::Plaintext);
            }
            let room = buf.get_mut(*filled..).unwrap_or_default();
            let result = match room.is_empty() {
                false => self.stream.ssl_read(room).inspect(|n| *filled += n),
                true => self.stream.ssl_read(self.ahead.room(RECORD)).inspect(|n| self.ahead.filled_up(*n)),
            };
            match result {
                Ok(_) => {}
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(State::Open),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => return Ok(State::Ended),
                Err(error) => return Err(error),
            }
        }
    }

    fn explain(&self, error: &openssl::ssl::Error) -> Error {
        match self.who {
            Who::Server(lookup) if self.handshaking => {
                explain(error, "client", self.stream.ssl().ex_data(lookup))
            }
            Who::Server(_) => explain(error, "client", None),
            Who::Client(_) => explain(error, "server", None),
        }
    }
}

impl Library for Psk {
    fn advance(&mut self, wire: &mut Wire, buf: &mut [u8], filled: &mut usize) -> Result<State, Error> {
        self.with(wire, |psk| psk.work(buf, filled).map_err(|error| psk.explain(&error)))
    }

    fn encrypt(&mut self, wire: &mut Wire, plain: &[u8]) -> Result<(), Error> {
        self.with(wire, |psk| {
            let mut rest = plain;
            while !rest.is_empty() {
                let n = psk.stream.ssl_write(rest).map_err(|error| psk.explain(&error))?;
                rest = rest.get(n..).unwrap_or_default();
            }
            Ok(())
        })
    }

    fn close(&mut self, wire: &mut Wire) {
        if !self.handshaking {
            // If this fails the peer will find the connection cut, which it is.
            self.with(wire, |psk| _ = psk.stream.shutdown());
        }
    }

    fn session(&self) -> Session {
        let ssl = self.stream.ssl();
        Session {
            version: match ssl.version_str() {
                "TLSv1.2" => "TLS1.2",
                _ => "TLS1.3",
            },
            cipher: ssl
                .current_cipher()
                .and_then(|cipher| cipher.standard_name())
                .unwrap_or_default()
                .to_owned(),
            certificate: None,
            psk_identity: match &self.who {
                Who::Client(user) => Some(user.clone()),
                Who::Server(lookup) => match ssl.ex_data(*lookup) {
                    Some(Lookup::Found(user)) => Some(user.clone()),
                    _ => None,
                },
            },
        }
    }

    fn rest(&mut self) {
        self.ahead.rest();
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.input.take(buf) {
            // The end is the engine's business: here there is only nothing yet.
            0 => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
