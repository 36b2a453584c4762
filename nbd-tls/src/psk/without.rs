// SPDX-License-Identifier: BSD-3-Clause
//! A build without pre-shared keys: neither half can be made.

use crate::{Engine, Error, ErrorKind, Priority};
use std::{convert::Infallible, path::Path};

#[derive(Debug, Clone)]
pub(crate) struct Server(Infallible);

impl Server {
    pub fn new(_: &Path, _: &Priority) -> Result<Server, Error> {
        Err(unsupported())
    }

    pub fn warning(&self) -> Option<&str> {
        match self.0 {}
    }

    pub fn accept(&self) -> Result<Engine, Error> {
        match self.0 {}
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Client(Infallible);

impl Client {
    pub fn new(_: &str, _: &Path, _: &Priority) -> Result<Client, Error> {
        Err(unsupported())
    }

    pub fn connect(&self) -> Result<Engine, Error> {
        match self.0 {}
    }
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "this build has no TLS-PSK (feature tls-psk)")
}
