// SPDX-License-Identifier: BSD-3-Clause
//! Any peer against both halves of TLS: the first byte says which one, and how large the pieces are.
#![no_main]

use nbd_tls::{Acceptor, ClientCertificates, Connector, Directory, Engine, Priority};
use std::{fs, sync::LazyLock};

/// Made once; a certificate of its own authority will do, because nobody gets as far as to check it.
static HALVES: LazyLock<(Acceptor, Connector)> = LazyLock::new(|| {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("ca-cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("server-cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("server-key.pem"), made.signing_key.serialize_pem()).unwrap();
    let priority = Priority::default();
    let certificates = ClientCertificates { directory: Some(folder), verify: true };
    (
        Acceptor::certificates(&Directory::load(folder).unwrap(), true, &priority).unwrap(),
        Connector::certificates(certificates, &priority).unwrap(),
    )
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let engine = match first % 2 {
        0 => HALVES.0.accept(),
        _ => HALVES.1.connect("localhost"),
    };
    drive(engine.unwrap(), data, 1 << (first / 2 % 16));
});

/// Nobody who guesses gets through, and nobody makes an engine say much.
fn drive(mut engine: Engine, data: &[u8], size: usize) {
    for piece in data.chunks(size) {
        let fed = engine.feed(piece);
        assert!(engine.is_handshaking() && engine.output().len() < 64 << 10);
        match fed {
            Ok(n) => assert_eq!(n, piece.len()),
            Err(error) => {
                assert_eq!(engine.feed(piece), Err(error));
                break;
            }
        }
    }
    assert!(engine.eof().is_err());
    engine.close();
    engine.rest();
}
