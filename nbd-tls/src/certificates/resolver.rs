// SPDX-License-Identifier: BSD-3-Clause
//! Which of several certificates a server shows.

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::ServerName;
use std::{fmt, sync::Arc};
use webpki::EndEntityCert;

/// The pairs of a server, best first.
pub(crate) struct Resolver(pub Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Resolver {
    /// The first whose kind of key the client can check and that names the host which the client asked for; else the first whose
    /// kind of key it can check; else any: rustls then finds out what is not in common, and says so.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let mut usable =
            self.0.iter().filter(|pair| pair.key.choose_scheme(hello.signature_schemes()).is_some());
        let first = usable.clone().next().or(self.0.first());
        usable.find(|pair| name.as_ref().is_some_and(|name| is_for(pair, name))).or(first).cloned()
    }
}

fn is_for(pair: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = pair.end_entity_cert().ok().and_then(|der| EndEntityCert::try_from(der).ok());
    certificate.is_some_and(|certificate| certificate.verify_is_valid_for_subject_name(name).is_ok())
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolver({} pairs)", self.0.len())
    }
}
