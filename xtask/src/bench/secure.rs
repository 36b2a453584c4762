// SPDX-License-Identifier: BSD-3-Clause
//! The load's end of a TLS connection, and the certificates that all servers show.

use std::fs::{self, Permissions};
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nbd_tls::{ClientCertificates, Connector, Engine, Priority};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::process::{Context, Failure, Result};

/// What every pair of peers agrees on; a row that measured another would say nothing.
const CIPHER: &str = "TLS_AES_256_GCM_SHA384";

/// A socket whose bytes are encrypted.
pub struct Secured {
    socket: UnixStream,
    engine: Engine,
}

impl Secured {
    /// Shakes hands; the socket blocks.
    pub fn begin(socket: UnixStream, certificates: &Path) -> Result<Secured> {
        let trusted = ClientCertificates { directory: Some(certificates), verify: true };
        let only: Priority = "NORMAL:-AES-128-GCM:-CHACHA20-POLY1305".parse().map_err(tls)?;
        let connector = Connector::certificates(trusted, &only).map_err(tls)?;
        let mut secured = Secured { socket, engine: connector.connect("localhost").map_err(tls)? };
        while secured.engine.is_handshaking() {
            secured.flush().context("TLS handshake")?;
            secured.receive().context("TLS handshake")?;
        }
        secured.flush().context("TLS handshake")?;
        match secured.engine.session() {
            Some(session) if session.cipher == CIPHER => Ok(secured),
            other => Err(format!("TLS: agreed on {other:?}, not on {CIPHER}").into()),
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        match self.socket.read(self.engine.room())? {
            0 => self.engine.eof().map_err(io::Error::other),
            count => self.engine.arrived(count).map_err(io::Error::other),
        }
    }
}

impl Read for Secured {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.engine.read(buf).map_err(io::Error::other)? {
                nbd_tls::Read::Some(count) => return Ok(count),
                nbd_tls::Read::End | nbd_tls::Read::Cut => return Ok(0),
                nbd_tls::Read::Nothing => self.receive()?,
            }
        }
    }
}

impl Write for Secured {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = self.engine.write(slices).map_err(io::Error::other)?;
        self.flush()?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.engine.output().is_empty() {
            let count = self.socket.write(self.engine.output())?;
            self.engine.sent(count);
        }
        Ok(())
    }
}

/// Makes an authority and a certificate of `localhost` in `folder`, with the names that nbdkit looks for, unless they are
/// there.
pub fn certificates(folder: &Path) -> Result {
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder).context(folder.display())?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate().map_err(|e| e.to_string())?;
    let signed = authority.self_signed(&authority_key).map_err(|e| e.to_string())?;
    let mut server = CertificateParams::new(vec!["localhost".to_owned()]).map_err(|e| e.to_string())?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().map_err(|e| e.to_string())?;
    let issuer = Issuer::from_params(&authority, &authority_key);
    let certificate = server.signed_by(&key, &issuer).map_err(|e| e.to_string())?;
    let files = [
        ("ca-cert.pem", signed.pem()),
        ("server-cert.pem", certificate.pem()),
        ("server-key.pem", key.serialize_pem()),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).context(path.display())?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).context(path.display())?;
    }
    Ok(())
}

fn tls(error: nbd_tls::Error) -> Failure {
    format!("TLS: {error}").into()
}
