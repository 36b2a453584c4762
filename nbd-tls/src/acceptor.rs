// SPDX-License-Identifier: BSD-3-Clause
//! The server half.

use crate::{
    Directory, Engine, Error, Priority,
    certificates::{Certificates, client_verifier, explain},
    psk,
};
use rustls::{
    ServerConfig,
    server::{NoServerSessionStorage, UnbufferedServerConnection},
};
use std::{path::Path, sync::Arc};

/// The server half: made once, at start; cheap to clone.
#[derive(Debug, Clone)]
pub struct Acceptor(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Certificates(Arc<ServerConfig>),
    Psk(psk::Server),
}

impl Acceptor {
    /// Shows the certificates of `directory`; with `verify_peer` a client has to show one, too, which the CA of the directory
    /// has signed (whatever its name).
    ///
    /// # Errors
    /// A list of revoked certificates that cannot be used.
    pub fn certificates(
        directory: &Directory,
        verify_peer: bool,
        priority: &Priority,
    ) -> Result<Acceptor, Error> {
        let provider = priority.provider();
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&priority.versions())
            .map_err(|error| explain(error, "client"))?;
        let config = match verify_peer {
            true => config.with_client_cert_verifier(client_verifier(
                directory.authorities.clone(),
                directory.revocations.clone(),
                provider,
            )?),
            false => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(directory.pairs.clone());
        // A resumed session would outlive the revocation of its certificate, and NBD clients connect once.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Acceptor(Kind::Certificates(Arc::new(config))))
    }

    /// Clients prove that they know one of the keys in `file`, which has lines `USERNAME:HEXKEY`. It is read again in every
    /// handshake: new users need no restart.
    ///
    /// # Errors
    /// A file that cannot be read or used; a `priority` that leaves no cipher for pre-shared keys; a build without the feature
    /// `psk`.
    pub fn psk(file: &Path, priority: &Priority) -> Result<Acceptor, Error> {
        psk::Server::new(file, priority).map(Kind::Psk).map(Acceptor)
    }

    /// What the operator should know, in one line: that everybody may read the file of pre-shared keys. For certificates
    /// see [`Directory::warnings`].
    pub fn warning(&self) -> Option<&str> {
        match &self.0 {
            Kind::Certificates(_) => None,
            Kind::Psk(server) => server.warning(),
        }
    }

    /// Begins a connection.
    ///
    /// # Errors
    /// Out of memory or of randomness.
    pub fn accept(&self) -> Result<Engine, Error> {
        match &self.0 {
            Kind::Certificates(config) => {
                let connection = UnbufferedServerConnection::new(config.clone());
                Engine::new(Certificates::new(connection.map_err(|error| explain(error, "client"))?))
            }
            Kind::Psk(server) => server.accept(),
        }
    }
}
