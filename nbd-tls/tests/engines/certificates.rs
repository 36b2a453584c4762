// SPDX-License-Identifier: BSD-3-Clause
//! Handshakes with certificates: those that work, and each way in which they fail.

use crate::{
    pipe::{Pair, send},
    pki::{LEAF, Leaf, Pki, words},
};
use nbd_tls::{Acceptor, ClientCertificates, Connector, Directory, Error, ErrorKind};

/// Kind and text on one side, kind on the other.
fn failed(error: &Option<Error>) -> (ErrorKind, String) {
    let error = error.as_ref().expect("this side should have failed");
    assert!(!error.to_string().contains('\n'));
    (error.kind(), error.to_string())
}

#[test]
fn both_versions_and_all_ciphers() {
    let pki = Pki::new("CA");
    for (version, words) in [("TLS1.2", "-VERS-ALL:+VERS-TLS1.2"), ("TLS1.3", "-VERS-ALL:+VERS-TLS1.3")] {
        for (cipher, name) in [
            ("AES-128-GCM", "AES_128_GCM_SHA256"),
            ("AES-256-GCM", "AES_256_GCM_SHA384"),
            ("CHACHA20-POLY1305", "CHACHA20_POLY1305_SHA256"),
        ] {
            for restricted in [true, false] {
                let priority = format!("NORMAL:{words}:-CIPHER-ALL:+{cipher}");
                let (server, client) = match restricted {
                    true => (priority.as_str(), "NORMAL"),
                    false => ("NORMAL", priority.as_str()),
                };
                let acceptor = pki.acceptor(&LEAF, false, server);
                let connector = pki.connector(None, true, client);
                let mut pair = Pair::new(&acceptor, &connector, "localhost").expect();
                for engine in [&pair.server, &pair.client] {
                    let session = engine.session().unwrap();
                    let prefix = if version == "TLS1.3" { "TLS_" } else { "TLS_ECDHE_ECDSA_WITH_" };
                    assert_eq!((session.version, &session.cipher), (version, &format!("{prefix}{name}")));
                }
                assert_eq!(send(&mut pair.client, &mut pair.server, b"to the server"), b"to the server");
                assert_eq!(send(&mut pair.server, &mut pair.client, b"to the client"), b"to the client");
            }
        }
    }
}

#[test]
fn who_the_peer_is() {
    let pki = Pki::new("The \"CA\"");
    let shown = Leaf { common_name: "nbd+client", ..LEAF };
    let acceptor = pki.acceptor(&LEAF, true, "NORMAL");
    let pair = Pair::new(&acceptor, &pki.connector(Some(&shown), true, "NORMAL"), "localhost").expect();
    let client = pair.server.session().unwrap().certificate.clone().unwrap();
    assert_eq!(client.subject, "CN=nbd\\+client,O=Testing\\, and more");
    assert_eq!(client.issuer, "CN=The \\\"CA\\\",O=Testing");
    let server = pair.client.session().unwrap().certificate.clone().unwrap();
    assert_eq!(server.subject, "CN=leaf,O=Testing\\, and more");
    assert!(pair.client.session().unwrap().psk_identity.is_none());

    // Not asked for: not shown.
    let acceptor = pki.acceptor(&LEAF, false, "NORMAL");
    let pair = Pair::new(&acceptor, &pki.connector(Some(&shown), true, "NORMAL"), "localhost").expect();
    assert_eq!(pair.server.session().unwrap().certificate, None);
}

/// A peer whose certificate is bad, and what the two sides say about it.
#[derive(Clone, Copy)]
struct Bad<'a> {
    leaf: Option<Leaf>,
    authority: &'a Pki,
    host: &'a str,
    kind: ErrorKind,
    text: &'a str,
    alert: &'a str,
}

const EXPIRED: Option<Leaf> = Some(Leaf { years: (2001, 2002), ..LEAF });
const EARLY: Option<Leaf> = Some(Leaf { years: (3001, 3002), ..LEAF });

#[test]
fn a_client_believes_only_the_right_server() {
    let (pki, other) = (Pki::new("CA"), Pki::new("another CA"));
    let unknown = Bad {
        leaf: Some(LEAF),
        authority: &other,
        host: "localhost",
        kind: ErrorKind::UnknownAuthority,
        text: "server certificate signed by an unknown CA",
        alert: "peer sent alert: unknown CA",
    };
    let host = Bad {
        leaf: Some(LEAF),
        authority: &pki,
        host: "example.com",
        kind: ErrorKind::WrongHost,
        text: "server certificate not for \"example.com\": it is for ",
        alert: "peer sent alert: bad certificate",
    };
    let address =
        Bad { host: "127.0.0.2", text: "server certificate not for \"127.0.0.2\": it is for ", ..host };
    let expired = Bad {
        leaf: EXPIRED,
        host: "localhost",
        kind: ErrorKind::Expired,
        text: "server certificate expired",
        alert: "peer sent alert: certificate expired",
        ..host
    };
    let early = Bad {
        leaf: EARLY,
        kind: ErrorKind::NotYetValid,
        text: "server certificate not valid yet",
        ..expired
    };
    for Bad { leaf, authority, host, kind, text, alert } in [unknown, host, address, expired, early] {
        for priority in ["NORMAL:-VERS-TLS1.2", "NORMAL:-VERS-TLS1.3"] {
            let acceptor = pki.acceptor(leaf.as_ref().unwrap(), false, priority);
            let pair = Pair::new(&acceptor, &authority.connector(None, true, priority), host);
            let (found, message) = failed(&pair.failed.1);
            assert_eq!(found, kind, "{text}");
            assert!(message.starts_with(text), "{message}");
            assert_eq!(failed(&pair.failed.0), (ErrorKind::Alert, alert.into()), "{text}");

            // Who does not verify is content with anything.
            Pair::new(&acceptor, &authority.connector(None, false, priority), host).expect();
        }
    }
    for host in ["localhost", "127.0.0.1", "::1"] {
        Pair::new(&pki.acceptor(&LEAF, false, "NORMAL"), &pki.connector(None, true, "NORMAL"), host).expect();
    }
}

#[test]
fn names_that_cannot_be() {
    let pki = Pki::new("CA");
    let error = pki.connector(None, true, "NORMAL").connect("a host").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), "TLS server name \"a host\" should be a DNS name or an IP address");
    let acceptor = pki.acceptor(&LEAF, false, "NORMAL");
    Pair::new(&acceptor, &pki.connector(None, false, "NORMAL"), "a host").expect();
}

#[test]
fn a_server_that_verifies_wants_a_good_certificate() {
    let (pki, other) = (Pki::new("CA"), Pki::new("another CA"));
    let none = Bad {
        leaf: None,
        authority: &pki,
        host: "localhost",
        kind: ErrorKind::NoCertificate,
        text: "client sent no certificate",
        alert: "peer sent alert: certificate required",
    };
    let unknown = Bad {
        leaf: Some(LEAF),
        authority: &other,
        kind: ErrorKind::UnknownAuthority,
        text: "client certificate signed by an unknown CA",
        alert: "peer sent alert: unknown CA",
        ..none
    };
    let expired = Bad {
        leaf: EXPIRED,
        kind: ErrorKind::Expired,
        text: "client certificate expired",
        alert: "peer sent alert: certificate expired",
        ..none
    };
    let early = Bad {
        leaf: EARLY,
        kind: ErrorKind::NotYetValid,
        text: "client certificate not valid yet",
        ..expired
    };
    for Bad { leaf, authority, host, kind, text, alert } in [none, unknown, expired, early] {
        for priority in ["NORMAL:-VERS-TLS1.2", "NORMAL:-VERS-TLS1.3"] {
            let acceptor = pki.acceptor(&LEAF, true, priority);
            let pair = Pair::new(&acceptor, &authority.connector(leaf.as_ref(), false, priority), host);
            assert_eq!(failed(&pair.failed.0), (kind, text.into()));
            assert_eq!(failed(&pair.failed.1), (ErrorKind::Alert, alert.into()), "{text}");
        }
    }
    // Whatever its name is, if only the authority has signed it.
    let shown = Leaf { names: &["elsewhere.example"], ..LEAF };
    let acceptor = pki.acceptor(&LEAF, true, "NORMAL");
    Pair::new(&acceptor, &pki.connector(Some(&shown), true, "NORMAL"), "localhost").expect();
}

#[test]
fn revoked() {
    let pki = Pki::new("CA");
    let lists = pki.revocations(&[3, 4]);
    let server = pki.server_folder(&LEAF);
    pki.folder("server", &[("ca-crl.pem", &lists)]);
    let acceptor =
        Acceptor::certificates(&Directory::load(&server).unwrap(), true, &words("NORMAL")).unwrap();
    for (serial, good) in [(2, true), (3, false), (4, false), (5, true)] {
        let connector = pki.connector(Some(&Leaf { serial, ..LEAF }), true, "NORMAL");
        let pair = Pair::new(&acceptor, &connector, "localhost");
        if good {
            pair.expect();
        } else {
            assert_eq!(failed(&pair.failed.0), (ErrorKind::Revoked, "client certificate revoked".into()));
            let alert = "peer sent alert: certificate revoked";
            assert_eq!(failed(&pair.failed.1), (ErrorKind::Alert, alert.into()));
        }
    }
    // A client has its own list; and one of another authority says nothing about this one.
    let other = Pki::new("another CA").revocations(&[LEAF.serial]);
    for (list, good) in [(pki.revocations(&[LEAF.serial]), false), (other, true)] {
        let folder = pki.client_folder(None);
        pki.folder("client", &[("ca-crl.pem", &list)]);
        let certificates = ClientCertificates { directory: Some(&folder), verify: true };
        let connector = Connector::certificates(certificates, &words("NORMAL")).unwrap();
        let pair = Pair::new(&pki.acceptor(&LEAF, false, "NORMAL"), &connector, "localhost");
        match good {
            true => _ = pair.expect(),
            false => {
                assert_eq!(failed(&pair.failed.1), (ErrorKind::Revoked, "server certificate revoked".into()))
            }
        }
    }
}

#[test]
fn nothing_in_common() {
    let pki = Pki::new("CA");
    for (server, client, text) in [
        ("NORMAL:-VERS-TLS1.2", "NORMAL:-VERS-TLS1.3", "no TLS version in common with the client"),
        ("NORMAL:-VERS-TLS1.3", "NORMAL:-VERS-TLS1.2", "no TLS version in common with the client"),
        ("NORMAL:-AES-128-GCM", "NORMAL:-CIPHER-ALL:+AES-128-GCM", "no cipher in common with the client"),
    ] {
        let pair =
            Pair::new(&pki.acceptor(&LEAF, false, server), &pki.connector(None, true, client), "localhost");
        assert_eq!(failed(&pair.failed.0), (ErrorKind::NothingInCommon, text.into()));
        assert_eq!(failed(&pair.failed.1).0, ErrorKind::Alert);
    }
}

#[test]
fn strong_words_take_strong_groups() {
    let pki = Pki::new("CA");
    for (server, client) in [("SECURE256", "NORMAL"), ("NORMAL", "SECURE192"), ("SECURE128", "SECURE256")] {
        let pair =
            Pair::new(&pki.acceptor(&LEAF, false, server), &pki.connector(None, true, client), "localhost");
        assert!(!pair.expect().server.session().unwrap().cipher.contains("128"));
    }
}

#[test]
fn several_pairs() {
    let pki = Pki::new("CA");
    let server = pki.server_folder(&Leaf { common_name: "first", ..LEAF });
    for (n, common_name, names, algorithm) in [
        (0, "other host", &["other.example"], &rcgen::PKCS_ECDSA_P384_SHA384),
        (1, "other kind", &["localhost"], &rcgen::PKCS_ED25519),
    ] {
        let (certificate, key) = pki.leaf(&Leaf { common_name, names, algorithm, ..LEAF });
        let names = [format!("server-cert-{n}.pem"), format!("server-key-{n}.pem")];
        pki.folder("server", &[(&names[0], &certificate), (&names[1], &key)]);
    }
    let acceptor =
        Acceptor::certificates(&Directory::load(&server).unwrap(), false, &words("NORMAL")).unwrap();
    for (host, shown) in [
        ("localhost", "first"),
        ("other.example", "other host"),
        ("127.0.0.1", "first"),
        ("unknown.example", "first"),
    ] {
        let pair = Pair::new(&acceptor, &pki.connector(None, false, "NORMAL"), host).expect();
        let subject = pair.client.session().unwrap().certificate.clone().unwrap().subject;
        assert!(subject.starts_with(&format!("CN={shown},")), "{host}: {subject}");
    }
}
