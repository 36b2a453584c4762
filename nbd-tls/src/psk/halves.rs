// SPDX-License-Identifier: BSD-3-Clause
//! The two halves: what OpenSSL is told before a connection begins.

use super::{
    connection::Psk,
    keys::{Key, Keys},
};
use crate::{Engine, Error, ErrorKind, Priority};
use openssl::{
    bn::BigNum,
    dh::Dh,
    error::ErrorStack,
    ex_data::Index,
    ssl::{
        Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef, SslSessionCacheMode,
        SslVerifyMode, SslVersion,
    },
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What OpenSSL takes, in bytes.
const LONGEST_USER: usize = 128;
/// `SSL_OP_ALLOW_NO_DHE_KEX`: clients may leave out the ephemeral exchange of TLS 1.3, as some are told to. It is used if
/// they offer it.
const ALLOW_NO_DHE_KEX: u64 = 0x400;

/// What became of the name that a client gave.
#[derive(Default)]
pub(super) enum Lookup {
    #[default]
    NotAsked,
    Found(String),
    Unknown(String),
    Failed(Error),
}

#[derive(Clone)]
pub(crate) struct Server {
    context: SslContext,
    lookup: Index<Ssl, Lookup>,
    warning: Option<Arc<str>>,
}

impl Server {
    pub fn new(file: &Path, priority: &Priority) -> Result<Server, Error> {
        let keys = Keys::read(file)?;
        keys.check(file)?;
        let warning = keys.warning(file).map(Arc::from);
        let lookup = Ssl::new_ex_index().map_err(unusable)?;
        let mut context = context(SslMethod::tls_server(), priority)?;
        let file: PathBuf = file.to_owned();
        let build = || -> Result<SslContext, ErrorStack> {
            context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
            // For clients of TLS 1.2 without elliptic curves: RFC 3526, as strong as AES-128.
            context.set_tmp_dh(&*Dh::from_pqg(
                BigNum::get_rfc3526_prime_3072()?,
                None,
                BigNum::from_u32(2)?,
            )?)?;
            context.set_psk_server_callback(move |ssl, user, key| {
                let user = user.unwrap_or_default();
                let (outcome, len) = look_up(&file, user, key);
                note(ssl, lookup, outcome);
                Ok(len)
            });
            Ok(context.build())
        };
        Ok(Server { context: build().map_err(unusable)?, lookup, warning })
    }

    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    pub fn accept(&self) -> Result<Engine, Error> {
        let mut ssl = Ssl::new(&self.context).map_err(unusable)?;
        ssl.set_accept_state();
        Engine::new(Psk::server(ssl, self.lookup)?)
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    context: SslContext,
    user: String,
}

impl Client {
    pub fn new(user: &str, file: &Path, priority: &Priority) -> Result<Client, Error> {
        if user.is_empty() || user.len() > LONGEST_USER || user.contains('\0') {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "TLS-PSK user name {user:?} should have 1 to {LONGEST_USER} bytes, none of them zero"
                ),
            ));
        }
        let key: Key = Keys::read(file)?.find(file, user.as_bytes())?.ok_or_else(|| {
            Error::new(ErrorKind::UnknownUser, format!("{}: no TLS-PSK user {user:?}", file.display()))
        })?;
        let mut context = context(SslMethod::tls_client(), priority)?;
        // In TLS 1.3 a server could pass over our key and show a certificate: there is none that we would believe.
        context.set_verify(SslVerifyMode::PEER);
        let name = user.to_owned();
        context.set_psk_client_callback(move |_, _hint, identity, psk| {
            Ok(match put(identity, &[name.as_bytes(), b"\0"].concat()) {
                Some(_) => put(psk, &key).unwrap_or(0),
                None => 0,
            })
        });
        Ok(Client { context: context.build(), user: user.to_owned() })
    }

    pub fn connect(&self) -> Result<Engine, Error> {
        let mut ssl = Ssl::new(&self.context).map_err(unusable)?;
        ssl.set_connect_state();
        Engine::new(Psk::client(ssl, self.user.clone())?)
    }
}

/// What both halves have in common.
fn context(method: SslMethod, priority: &Priority) -> Result<SslContextBuilder, Error> {
    // An external key goes with SHA-256 in TLS 1.3.
    let (suites, ciphers) = (suites(priority), ciphers(priority));
    let tls13 = priority.tls13 && !suites.is_empty();
    let (least, most) = match (priority.tls12, tls13) {
        (true, true) => (SslVersion::TLS1_2, SslVersion::TLS1_3),
        (true, false) => (SslVersion::TLS1_2, SslVersion::TLS1_2),
        (false, true) => (SslVersion::TLS1_3, SslVersion::TLS1_3),
        (false, false) => {
            return Err(Error::new(
                ErrorKind::Config,
                "TLS priority leaves no cipher for pre-shared keys: TLS 1.3 needs AES-128-GCM or CHACHA20-POLY1305",
            ));
        }
    };
    let build = || -> Result<SslContextBuilder, ErrorStack> {
        let mut context = SslContextBuilder::new(method)?;
        context.set_min_proto_version(Some(least))?;
        context.set_max_proto_version(Some(most))?;
        context.set_ciphersuites(&suites)?;
        context.set_cipher_list(&ciphers)?;
        if priority.strong_groups {
            context.set_groups_list("P-384")?;
        }
        context.set_options(
            SslOptions::NO_COMPRESSION
                | SslOptions::NO_RENEGOTIATION
                | SslOptions::NO_TICKET
                | SslOptions::from_bits_retain(ALLOW_NO_DHE_KEX),
        );
        context.set_num_tickets(0)?;
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        // Idle connections are cheap.
        context.set_mode(SslMode::RELEASE_BUFFERS);
        Ok(context)
    };
    build().map_err(unusable)
}

/// Of TLS 1.3.
fn suites(priority: &Priority) -> String {
    let suites =
        [(priority.aes_128, "TLS_AES_128_GCM_SHA256"), (priority.chacha20, "TLS_CHACHA20_POLY1305_SHA256")];
    joined(suites)
}

/// Of TLS 1.2: authenticated encryption only; keys that nobody can work out later before those that somebody could.
fn ciphers(priority: &Priority) -> String {
    let ephemeral = !priority.strong_groups; // the one group is not that strong
    joined([
        (priority.aes_128 && ephemeral, "DHE-PSK-AES128-GCM-SHA256"),
        (priority.aes_256 && ephemeral, "DHE-PSK-AES256-GCM-SHA384"),
        (priority.chacha20, "ECDHE-PSK-CHACHA20-POLY1305"),
        (priority.chacha20 && ephemeral, "DHE-PSK-CHACHA20-POLY1305"),
        (priority.aes_128, "PSK-AES128-GCM-SHA256"),
        (priority.aes_256, "PSK-AES256-GCM-SHA384"),
        (priority.chacha20, "PSK-CHACHA20-POLY1305"),
    ])
}

fn joined<const N: usize>(names: [(bool, &str); N]) -> String {
    names.iter().filter_map(|(on, name)| on.then_some(*name)).collect::<Vec<_>>().join(":")
}

/// The length of the key, which is 0 if there is none.
fn look_up(file: &Path, user: &[u8], key: &mut [u8]) -> (Lookup, usize) {
    let name = String::from_utf8_lossy(user).into_owned();
    match Keys::read(file).and_then(|keys| keys.find(file, user)) {
        Ok(Some(found)) => match put(key, &found) {
            Some(len) => (Lookup::Found(name), len),
            None => (Lookup::Unknown(name), 0),
        },
        Ok(None) => (Lookup::Unknown(name), 0),
        Err(error) => (Lookup::Failed(error), 0),
    }
}

/// For the error, and for the session.
fn note(ssl: &mut SslRef, lookup: Index<Ssl, Lookup>, outcome: Lookup) {
    if let Some(noted) = ssl.ex_data_mut(lookup) {
        // A client may offer several keys.
        if !matches!(noted, Lookup::Found(_)) {
            *noted = outcome;
        }
    }
}

fn put(room: &mut [u8], bytes: &[u8]) -> Option<usize> {
    room.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(bytes.len())
}

pub(super) fn unusable(error: ErrorStack) -> Error {
    Error::new(ErrorKind::Config, format!("OpenSSL cannot be used: {error}"))
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server(pre-shared keys)")
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client(pre-shared key of {:?})", self.user)
    }
}
