// SPDX-License-Identifier: BSD-3-Clause
//! A peer that takes new keys in the middle of a connection: it is answered, but not without end.

use crate::{
    pipe::read_all,
    pki::{LEAF, Pki},
};
use nbd_tls::{Engine, Error, ErrorKind};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    io::{IoSlice, Read, Write},
    sync::Arc,
};

/// A client of rustls, which can be told to take new keys, and a server of ours.
struct Peers {
    client: ClientConnection,
    server: Engine,
}

impl Peers {
    fn new() -> Peers {
        let pki = Pki::new("CA");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pki.authority_pem.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut peers = Peers { client, server: pki.acceptor(&LEAF, false, "NORMAL").accept().unwrap() };
        while peers.client.is_handshaking() {
            peers.say().unwrap();
            peers.hear();
        }
        peers.say().unwrap();
        peers
    }

    fn say(&mut self) -> Result<(), Error> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        self.server.feed(&bytes).map(|fed| assert_eq!(fed, bytes.len()))
    }

    fn hear(&mut self) {
        let mut bytes = self.server.output();
        while !bytes.is_empty() {
            self.client.read_tls(&mut bytes).unwrap();
            self.client.process_new_packets().unwrap();
        }
        self.server.sent(self.server.output().len());
    }

    /// A few bytes each way.
    fn talk(&mut self) {
        self.client.writer().write_all(b"to the server").unwrap();
        self.say().unwrap();
        assert_eq!(read_all(&mut self.server).0, b"to the server");
        self.server.write(&[IoSlice::new(b"to the client")]).unwrap();
        self.hear();
        let mut got = [0; 13];
        self.client.reader().read_exact(&mut got).unwrap();
        assert_eq!(&got, b"to the client");
    }
}

#[test]
fn both_directions_go_on_with_new_keys() {
    let mut peers = Peers::new();
    peers.server.write(&[IoSlice::new(b"one record")]).unwrap();
    let one = peers.server.output().len();
    peers.hear();
    peers.client.reader().read_exact(&mut [0; 10]).unwrap();
    for _ in 0..5 {
        peers.talk();
        peers.client.refresh_traffic_keys().unwrap();
        peers.say().unwrap();
        peers.server.write(&[IoSlice::new(b"one record")]).unwrap();
        assert!(peers.server.output().len() > one, "the keys were not answered");
        peers.hear();
        peers.client.reader().read_exact(&mut [0; 10]).unwrap();
    }
    peers.talk();
}

#[test]
fn who_wants_nothing_but_new_keys_is_sent_away() {
    let mut peers = Peers::new();
    let error = (0..1000).find_map(|_| {
        peers.client.refresh_traffic_keys().unwrap();
        peers.say().err()
    });
    assert!(peers.server.output().len() < 1 << 10);
    assert_eq!(error.expect("it is answered without end").kind(), ErrorKind::Protocol);
}
