// SPDX-License-Identifier: BSD-3-Clause
//! [`Offer`]: whether clients may or must encrypt, and with what. Made once, before anything is opened: a private key that
//! only root may read is read while we are root.

#[cfg(not(feature = "tls"))]
#[path = "tls/absent.rs"]
pub(crate) mod engine;
#[cfg(feature = "tls")]
#[path = "tls/find.rs"]
mod find;
#[cfg(feature = "tls")]
pub(crate) use nbd_tls as engine;

use crate::cli::{Options, Tls, uri::Credentials};
use engine::{Acceptor, Session};
use nbd_proto::server;
use nbdkit_plugin::{Certificate, Error, Result};
use std::path::PathBuf;

/// What is offered to clients.
pub struct Offer {
    /// Makes an engine for each client that asks for TLS.
    pub acceptor: Acceptor,
    /// Clients get nothing without it.
    pub required: bool,
    /// What the command line named, which clients on this host may use too.
    pub named: Named,
    /// What is told under `-v`.
    pub detail: Detail,
}

/// What the command line named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// Nothing: certificates were found where they are looked for.
    Nothing,
    /// `--tls-certificates`
    Certificates(PathBuf),
    /// `--tls-psk`
    Psk(PathBuf),
}

/// What is told of each handshake under `-v`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Detail {
    /// `-D nbdkit.tls.log`: from 1 on, how it proceeds.
    pub log: i32,
    /// `-D nbdkit.tls.session`: what was agreed.
    pub session: bool,
}

impl Detail {
    /// What `-D` asks for.
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    fn asked(options: &Options) -> Detail {
        let mut detail = Detail::default();
        for flag in options.debug.iter().filter(|flag| flag.component == "nbdkit") {
            match flag.flag.replace('_', ".").as_str() {
                "tls.log" => detail.log = flag.value,
                "tls.session" => detail.session = flag.value != 0,
                _ => {}
            }
        }
        detail
    }
}

/// What this build makes of a client that asks for TLS when nothing is offered.
pub const REFUSAL: server::Tls =
    if cfg!(feature = "tls") { server::Tls::Off } else { server::Tls::Unsupported };

impl Offer {
    /// What the options ask for. `None`: no TLS. `warn` is told what the operator should know, line by line.
    ///
    /// # Errors
    /// TLS is required and cannot be had; what was named cannot be used.
    pub fn make(options: &Options, warn: impl FnMut(&str)) -> Result<Option<Offer>> {
        #[cfg(feature = "tls")]
        return find::offer(options, warn);
        #[cfg(not(feature = "tls"))]
        {
            let _ = warn;
            refuse(options).map(|()| None)
        }
    }

    /// What the handshake is told.
    pub fn policy(&self) -> server::Tls {
        match self.required {
            true => server::Tls::Required,
            false => server::Tls::Allowed,
        }
    }

    /// `$tls`: 1 if clients may encrypt, 2 if they must.
    pub fn number(&self) -> u8 {
        1 + u8::from(self.required)
    }

    /// For the URI: set if clients must encrypt.
    pub fn credentials(&self) -> Option<Credentials<'_>> {
        self.required.then_some(match &self.named {
            Named::Nothing => Credentials::Default,
            Named::Certificates(directory) => Credentials::Certificates(directory),
            Named::Psk(file) => Credentials::PskFile(file),
        })
    }
}

/// Where certificates are looked for when root runs the server. It depends on `NBDKIT_SYSCONFDIR` at the time of
/// building.
pub fn root_directory() -> String {
    format!("{}/pki/nbdkit", option_env!("NBDKIT_SYSCONFDIR").unwrap_or("/etc"))
}

/// Options that mean nothing here would be lies if they were passed over.
#[cfg_attr(feature = "tls", allow(dead_code))]
fn refuse(options: &Options) -> Result<()> {
    let asked = [
        ("--tls", matches!(options.tls, Some(Tls::On | Tls::Require))),
        ("--tls-certificates", options.tls_certificates.is_some()),
        ("--tls-psk", options.tls_psk.is_some()),
        ("--tls-priority", options.tls_priority.is_some()),
        ("--tls-verify-peer", options.tls_verify_peer),
    ];
    match asked.into_iter().find(|(_, asked)| *asked && options.tls != Some(Tls::Off)) {
        Some((option, _)) => {
            Err(Error::invalid(format!("{option}: this nbdkit was built without TLS (cargo feature 'tls')")))
        }
        None => Ok(()),
    }
}

/// The certificate that the client has shown. The engine asks for one only if it will be verified.
pub fn certificate(session: &Session) -> Option<Certificate> {
    let shown = session.certificate.as_ref()?;
    Some(Certificate { subject: shown.subject.clone(), issuer: shown.issuer.clone() })
}

/// What was agreed, for `-D nbdkit.tls.session=1`.
pub fn describe(session: &Session) -> String {
    let mut text = format!("TLS session: {}, {}", session.version, session.cipher);
    match (&session.psk_identity, &session.certificate) {
        (Some(user), _) => text += &format!(", pre-shared key of '{user}'"),
        (None, Some(shown)) => {
            text += &format!(", client certificate of '{}', issued by '{}'", shown.subject, shown.issuer);
        }
        (None, None) => text += ", no client certificate",
    }
    text
}

#[cfg(test)]
mod tests;
