// SPDX-License-Identifier: BSD-3-Clause
//! What takes the place of `nbd_tls` in a build without TLS: types of which there are no values, so that nothing
//! else has to be left out, and the compiler leaves it out by itself.

use std::{fmt, io::IoSlice};

/// There is none.
#[derive(Clone)]
pub enum Acceptor {}

impl Acceptor {
    pub fn accept(&self) -> Result<Engine, Error> {
        match *self {}
    }
}

/// There is none.
pub enum Engine {}

impl Engine {
    pub fn room(&mut self) -> &mut [u8] {
        match *self {}
    }
    pub fn arrived(&mut self, _: usize) -> Result<(), Error> {
        match *self {}
    }
    pub fn eof(&mut self) -> Result<(), Error> {
        match *self {}
    }
    pub fn read(&mut self, _: &mut [u8]) -> Result<Read, Error> {
        match *self {}
    }
    pub fn readable(&self) -> bool {
        match *self {}
    }
    pub fn write(&mut self, _: &[IoSlice<'_>]) -> Result<usize, Error> {
        match *self {}
    }
    pub fn output(&self) -> &[u8] {
        match *self {}
    }
    pub fn sent(&mut self, _: usize) {
        match *self {}
    }
    pub fn close(&mut self) {
        match *self {}
    }
    pub fn rest(&mut self) {
        match *self {}
    }
    pub fn is_handshaking(&self) -> bool {
        match *self {}
    }
    pub fn session(&self) -> Option<&Session> {
        match *self {}
    }
}

#[allow(dead_code)] // nobody makes one
pub enum Read {
    Some(usize),
    Nothing,
    End,
    Cut,
}

/// Never made; an error without values would let the compiler warn of code that is not reached.
#[derive(Debug)]
pub struct Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("built without TLS")
    }
}

impl std::error::Error for Error {}

pub struct Session {
    pub version: &'static str,
    pub cipher: String,
    pub certificate: Option<PeerCertificate>,
    pub psk_identity: Option<String>,
}

pub struct PeerCertificate {
    pub subject: String,
    pub issuer: String,
}
