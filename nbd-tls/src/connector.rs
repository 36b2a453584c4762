// SPDX-License-Identifier: BSD-3-Clause
//! The client half.

use crate::{
    Engine, Error, ErrorKind, Priority,
    certificates::{Anybody, Certificates, explain, server_verifier},
    pem, psk,
};
use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, UnbufferedClientConnection},
    sign::SingleCertAndKey,
};
use rustls_pki_types::{IpAddr, Ipv4Addr, ServerName};
use std::{path::Path, sync::Arc};

/// The client half: cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    kind: Kind,
    warnings: Vec<String>,
}

#[derive(Debug, Clone)]
enum Kind {
    Certificates { config: Arc<ClientConfig>, verify: bool },
    Psk(psk::Client),
}

/// What a client trusts and shows.
#[derive(Debug, Clone, Copy)]
pub struct ClientCertificates<'a> {
    /// A folder with `ca-cert.pem`, and perhaps `client-cert.pem` with `client-key.pem`, and `ca-crl.pem`; without it, the
    /// authorities that the system trusts.
    pub directory: Option<&'a Path>,
    /// Whether the server has to show a certificate that belongs to its name. Without it *any* certificate will do, so that
    /// whoever sits between reads and writes everything.
    pub verify: bool,
}

impl Connector {
    /// Expects a server with a certificate.
    ///
    /// # Errors
    /// [`ErrorKind::NotADirectory`] if there is no `ca-cert.pem` (and `verify` is on), [`ErrorKind::Unreadable`],
    /// [`ErrorKind::Malformed`]; [`ErrorKind::Config`] if the system has no trusted authorities.
    pub fn certificates(
        certificates: ClientCertificates<'_>,
        priority: &Priority,
    ) -> Result<Connector, Error> {
        let ClientCertificates { directory, verify } = certificates;
        let mut warnings = Vec::new();
        let provider = priority.provider();
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&priority.versions())
            .map_err(|error| explain(error, "server"))?
            .dangerous()
            .with_custom_certificate_verifier(match (verify, directory) {
                (false, _) => Arc::new(Anybody(provider)),
                (true, None) => server_verifier(system_authorities()?, Vec::new(), provider)?,
                (true, Some(directory)) => server_verifier(
                    pem::authorities(&directory.join("ca-cert.pem"))?,
                    pem::revocations(&directory.join("ca-crl.pem"))?,
                    provider,
                )?,
            });
        let shown = directory
            .map(|directory| (directory.join("client-cert.pem"), directory.join("client-key.pem")))
            .filter(|(certificate, key)| certificate.exists() || key.exists());
        let mut config = match shown {
            Some((certificate, key)) => {
                let pair = pem::pair(&certificate, &key, &mut warnings)
                    .map_err(|error| error.within(ErrorKind::Malformed))?;
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
            }
            None => config.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(Connector { kind: Kind::Certificates { config: Arc::new(config), verify }, warnings })
    }

    /// Proves to the server that it knows the key of `username` in `file` (lines `USERNAME:HEXKEY`), and lets the server prove it.
    ///
    /// # Errors
    /// A file that cannot be read or used ([`ErrorKind::Unreadable`], [`ErrorKind::Malformed`]), or has no such user
    /// ([`ErrorKind::UnknownUser`]); a build without the feature `psk` ([`ErrorKind::Unsupported`]).
    pub fn psk(username: &str, file: &Path, priority: &Priority) -> Result<Connector, Error> {
        let client = psk::Client::new(username, file, priority)?;
        Ok(Connector { kind: Kind::Psk(client), warnings: Vec::new() })
    }

    /// Begins a connection to a server that should be `server_name`: a DNS name or an IP address (`localhost` for a Unix
    /// socket). Ignored with pre-shared keys.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a name that is neither; out of memory or of randomness.
    pub fn connect(&self, server_name: &str) -> Result<Engine, Error> {
        match &self.kind {
            Kind::Certificates { config, verify } => {
                let name = match ServerName::try_from(server_name.to_owned()) {
                    Ok(name) => name,
                    // An address, because it is not sent.
                    Err(_) if !verify => ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([127, 0, 0, 1]))),
                    Err(_) => {
                        return Err(Error::new(
                            ErrorKind::Config,
                            format!("TLS server name {server_name:?} should be a DNS name or an IP address"),
                        ));
                    }
                };
                let connection = UnbufferedClientConnection::new(config.clone(), name);
                Engine::new(Certificates::new(connection.map_err(|error| explain(error, "server"))?))
            }
            Kind::Psk(client) => client.connect(),
        }
    }

    /// What the operator should know, one line each: a private key that everybody may read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// What the system trusts, where it keeps that (`SSL_CERT_FILE` and `SSL_CERT_DIR` win).
fn system_authorities() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        false => Ok(roots),
        true => Err(Error::new(
            ErrorKind::Config,
            "this system has no trusted certificate authorities; a folder with ca-cert.pem is needed",
        )),
    }
}
