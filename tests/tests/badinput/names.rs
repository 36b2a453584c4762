// SPDX-License-Identifier: BSD-3-Clause
//! Export names of every length and of every byte.

use nbdkit_tests::files::scratch;
use nbdkit_tests::raw::{go_payload, meta_payload, opt, option};
use nbdkit_tests::{Server, data::random};

use crate::{SIZE, victim};

fn names() -> Vec<Vec<u8>> {
    let long = |len| vec![b'x'; len];
    // Two bytes a letter: the limit counts bytes.
    let umlauts = "\u{fc}".repeat(2048).into_bytes();
    vec![
        long(1),
        long(255),
        long(4095),
        long(4096),
        umlauts.clone(),
        long(4097),
        [umlauts, long(1)].concat(),
        long(65_536),
        b"\0".to_vec(),
        b"na\0me".to_vec(),
        b"name\0".to_vec(),
        b"\xff\xfe".to_vec(),
        b"caf\xe9".to_vec(),
        // Surrogates, an overlong slash, a letter cut in two.
        b"\xed\xa0\x80".to_vec(),
        b"\xc0\xaf".to_vec(),
        b"\xe2\x82".to_vec(),
        "\u{202e}\u{1b}[31m\n%n%s".into(),
        random(1, 4096),
    ]
}

/// Whether no server may take it: too long, or with NUL.
fn is_impossible(name: &[u8]) -> bool {
    name.len() > 4096 || name.contains(&0)
}

#[test]
fn names_in_go_and_info() {
    let server = victim();
    for name in names() {
        let shown =
            format!("name of {} bytes: {}", name.len(), name.get(..20).unwrap_or(&name).escape_ascii());
        let plain = std::str::from_utf8(&name).is_ok() && !is_impossible(&name);
        for code in [opt::INFO, opt::GO] {
            let mut client = server.connect();
            client.hello().unwrap();
            let reply =
                client.verdict(code, &go_payload(&name)).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert!(!is_impossible(&name) || reply.is_error(), "{shown}: accepted");
            assert!(!plain || !reply.is_error(), "{shown}: {reply:?}");
            if reply.is_error() || code == opt::INFO {
                // Refused or not, the connection goes on.
                assert_eq!(client.go(b"").unwrap().unwrap().size, SIZE, "{shown}");
            }
        }
        server.assert_serves();
    }
}

#[test]
fn names_in_export_name() {
    let server = victim();
    for name in names() {
        let shown =
            format!("name of {} bytes: {}", name.len(), name.get(..20).unwrap_or(&name).escape_ascii());
        let mut client = server.connect();
        client.hello().unwrap();
        let _ = client.send(&option(opt::EXPORT_NAME, &name));
        let reply = client.recv(10);
        assert!(!is_impossible(&name) || reply.is_err(), "{shown}: accepted");
        let plain = std::str::from_utf8(&name).is_ok() && !is_impossible(&name);
        assert!(!plain || reply.is_ok(), "{shown}: refused");
        server.assert_serves();
    }
}

#[test]
fn names_in_meta_context_options() {
    let server = victim();
    for name in names() {
        let mut client = server.connect();
        client.hello().unwrap();
        client.verdict(opt::STRUCTURED_REPLY, &[]).unwrap();
        for code in [opt::LIST_META_CONTEXT, opt::SET_META_CONTEXT] {
            for query in [&b"base:allocation"[..], b"", b"base:", b"\xff\xff", b"no-colon", &name] {
                client.verdict(code, &meta_payload(&name, query)).unwrap();
            }
        }
        assert_eq!(client.go(b"").unwrap().unwrap().size, SIZE);
        server.assert_serves();
    }
}

#[test]
fn names_of_files_in_a_folder() {
    let dir = scratch();
    std::fs::write(dir.path().join("plain"), [1; 512]).unwrap();
    let server = Server::start(["file", &format!("dir={}", dir.path().display())]);
    for name in names() {
        let mut client = server.connect();
        client.hello().unwrap();
        let reply = client.go(&name).unwrap();
        assert!(reply.is_err(), "{}: there is no such file", name.escape_ascii());
        assert_eq!(client.go(b"plain").unwrap().unwrap().size, 512);
    }
}
