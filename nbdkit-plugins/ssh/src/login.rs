// SPDX-License-Identifier: BSD-3-Clause
//! From nothing to an SSH session with the right machine, logged in. Blocks, but never for longer than the timeout
//! without a word of the server.

use crate::{auth, chatter::Chatter, known_hosts::Known, target::Target};
use async_io::Async;
use nbdkit_plugin::{EACCES, EIO, Error, Log, Result};
use socket2::{SockRef, TcpKeepalive};
use ssh2::{HashType, MethodType, Session};
use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

/// A machine that vanished without a word is noticed after two of these.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What the two sides agree upon.
const AGREED: [(&str, MethodType); 8] = [
    ("key exchange", MethodType::Kex),
    ("host key", MethodType::HostKey),
    ("cipher to the server", MethodType::CryptCs),
    ("cipher from the server", MethodType::CryptSc),
    ("integrity to the server", MethodType::MacCs),
    ("integrity from the server", MethodType::MacSc),
    ("compression to the server", MethodType::CompCs),
    ("compression from the server", MethodType::CompSc),
];

/// The session, and its socket to wait for.
pub(crate) fn login(target: &Target, log: &Log) -> Result<(Session, Arc<Async<TcpStream>>)> {
    let host = &target.host;
    let failed = |why: &str| Error::new(EIO, format!("failed to connect to remote host: {host}: {why}"));
    let socket = connect(target)?;
    let socket = Arc::new(Async::new(socket).map_err(|error| failed(&error.to_string()))?);

    let mut session = Session::new().map_err(|error| failed(error.message()))?;
    session.set_tcp_stream(socket.clone());
    // What libssh2 takes, and not 0, which is for ever.
    let timeout = target.login_timeout().as_millis().clamp(1, i32::MAX as u128);
    session.set_timeout(timeout as u32);
    session.set_compress(target.compression);
    let known = Known::read(&session, &target.known_hosts, host, target.port);
    session
        .supported_algs(MethodType::HostKey)
        .and_then(|signatures| session.method_pref(MethodType::HostKey, &known.algorithms(&signatures)))
        .and_then(|()| session.handshake())
        .map_err(|error| failed(error.message()))?;
    log.debug(format_args!(
        "{host}: {}, {}",
        String::from_utf8_lossy(session.banner_bytes().unwrap_or_default()).escape_debug(),
        session.methods(MethodType::CryptSc).unwrap_or("no cipher"),
    ));
    for (what, method) in AGREED {
        let agreed = session.methods(method).unwrap_or("none").escape_debug();
        target.chatter.say(Chatter::Agreements, log, format_args!("{host}: {what}: {agreed}"));
    }
    if target.verify {
        verify(&session, &known, host)?;
    }
    auth::authenticate(&session, target, log)?;
    Ok((session, socket))
}

fn connect(target: &Target) -> Result<TcpStream> {
    let host = &target.host;
    let failed = |error: io::Error| Error::io(error, format!("failed to connect to remote host: {host}"));
    let addresses = (host.as_str(), target.port).to_socket_addrs().map_err(failed)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, target.login_timeout()) {
            Ok(socket) => {
                // A small request must not wait for the acknowledgement of the one before.
                socket.set_nodelay(true).map_err(failed)?;
                let keepalive =
                    TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 6).with_retries(6);
                SockRef::from(&socket).set_tcp_keepalive(&keepalive).map_err(failed)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn verify(session: &Session, known: &Known, host: &str) -> Result<()> {
    let fingerprint = session.host_key_hash(HashType::Sha256).map(base64).unwrap_or_default();
    let shown = format!("SHA256:{}", fingerprint.trim_end_matches('='));
    let (key, _) =
        session.host_key().ok_or_else(|| Error::new(EACCES, format!("{host} shows no host key")))?;
    known.check(host, key, &shown).map_err(|why| Error::new(EACCES, why))
}

/// RFC 4648, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(group.get(i).copied().unwrap_or(0)));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit > group.len() { '=' } else { DIGITS[value as usize].into() });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_comes_back() {
        for len in 0..50u8 {
            let bytes: Vec<u8> = (0..len).map(|i| i.wrapping_mul(89)).collect();
            assert_eq!(nbdkit_base64::decode(base64(&bytes).as_bytes()).unwrap(), bytes);
        }
    }
}
