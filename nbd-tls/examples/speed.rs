// SPDX-License-Identifier: BSD-3-Clause
//! How long 256 KiB take from one half to the other, in memory; and small requests, one in each write.
//!
//! `cargo run --release -p nbd-tls --example speed` (with `--features psk` for pre-shared keys, too). Figures are medians of one thread.

use nbd_tls::{Acceptor, ClientCertificates, Connector, Directory, Engine, Priority, Read};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{error::Error, fs, io::IoSlice, path::Path, time::Instant};

const CIPHERS: [&str; 3] = ["AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::TempDir::new()?;
    certificates(folder.path())?;
    for version in ["TLS1.2", "TLS1.3"] {
        for cipher in CIPHERS {
            let priority = format!("NORMAL:-VERS-ALL:+VERS-{version}:-CIPHER-ALL:+{cipher}").parse()?;
            let acceptor = Acceptor::certificates(&Directory::load(folder.path())?, false, &priority)?;
            let from = ClientCertificates { directory: Some(folder.path()), verify: true };
            measure("certificates", &acceptor, &Connector::certificates(from, &priority)?)?;
        }
    }
    let keys = folder.path().join("keys");
    fs::write(&keys, "alice:000102030405060708090a0b0c0d0e0f\n")?;
    if let Ok(acceptor) = Acceptor::psk(&keys, &Priority::default()) {
        measure("keys", &acceptor, &Connector::psk("alice", &keys, &Priority::default())?)?;
    }
    Ok(())
}

fn certificates(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    fs::write(folder.join("ca-cert.pem"), params.self_signed(&key)?.pem())?;
    let authority = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &authority)?;
    fs::write(folder.join("server-cert.pem"), certificate.pem())?;
    fs::write(folder.join("server-key.pem"), key.serialize_pem())?;
    Ok(())
}

fn measure(kind: &str, acceptor: &Acceptor, connector: &Connector) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    let (mut server, mut client) = (acceptor.accept()?, connector.connect("localhost")?);
    while carry(&mut client, &mut server)? + carry(&mut server, &mut client)? > 0 {}
    let handshake = begin.elapsed();
    let session = server.session().ok_or("no handshake")?.clone();
    let plain = vec![0x5a; 256 << 10];
    let mut buf = vec![0; 256 << 10];
    let mut times = Vec::new();
    for (size, rounds) in [(256 << 10, 2000), (4 << 10, 20_000)] {
        let plain = plain.get(..size).unwrap_or_default();
        let (mut encrypting, mut decrypting) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let begin = Instant::now();
            server.write(&[IoSlice::new(&[7; 16]), IoSlice::new(plain)])?;
            encrypting.push(begin.elapsed());
            let begin = Instant::now();
            // As from a socket: straight into the room of the engine.
            while !server.output().is_empty() {
                carry(&mut server, &mut client)?;
                while let Read::Some(_) = client.read(&mut buf)? {}
            }
            decrypting.push(begin.elapsed());
        }
        encrypting.sort();
        decrypting.sort();
        times.push((encrypting.swap_remove(rounds / 2), decrypting.swap_remove(rounds / 2)));
    }
    println!("{kind}, {}, {}: handshake {handshake:?}", session.version, session.cipher);
    println!("    256 KiB: encrypt {:?}, decrypt {:?}", times[0].0, times[0].1);
    println!("    4 KiB: encrypt {:?}, decrypt {:?}", times[1].0, times[1].1);
    Ok(())
}

fn carry(from: &mut Engine, to: &mut Engine) -> Result<usize, nbd_tls::Error> {
    let room = to.room();
    let n = room.len().min(from.output().len());
    room[..n].copy_from_slice(&from.output()[..n]);
    to.arrived(n)?;
    from.sent(n);
    Ok(n)
}
