// SPDX-License-Identifier: BSD-3-Clause
//! Pre-shared keys: versions and ciphers; unknown users, wrong keys; files that change.

use crate::{
    pipe::{Pair, send},
    pki::{LEAF, Pki, words},
};
use nbd_tls::{Acceptor, Connector, ErrorKind};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};
use tempfile::TempDir;

const KEYS: &str = "alice:000102030405060708090a0b0c0d0e0f\nbob:ffff\n";

fn file(folder: &TempDir, name: &str, content: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn acceptor(file: &Path, priority: &str) -> Acceptor {
    Acceptor::psk(file, &words(priority)).unwrap()
}

fn connector(user: &str, file: &Path, priority: &str) -> Connector {
    Connector::psk(user, file, &words(priority)).unwrap()
}

/// For the tests of other files: both versions.
pub fn halves() -> Vec<(Acceptor, Connector)> {
    // The server reads its file in each handshake.
    let folder = Box::leak(Box::new(TempDir::new().unwrap()));
    let keys = file(folder, "keys", KEYS);
    ["NORMAL:-VERS-TLS1.3", "NORMAL:-VERS-TLS1.2"]
        .map(|priority| (acceptor(&keys, priority), connector("alice", &keys, priority)))
        .into()
}

pub fn pairs() -> Vec<Pair> {
    halves().iter().map(|(acceptor, connector)| Pair::new(acceptor, connector, "").expect()).collect()
}

#[test]
fn both_versions_and_all_ciphers() {
    let folder = TempDir::new().unwrap();
    let keys = file(&folder, "keys", KEYS);
    for (version, cipher, name) in [
        ("TLS1.3", "AES-128-GCM", "TLS_AES_128_GCM_SHA256"),
        ("TLS1.3", "CHACHA20-POLY1305", "TLS_CHACHA20_POLY1305_SHA256"),
        ("TLS1.2", "AES-128-GCM", "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256"),
        ("TLS1.2", "AES-256-GCM", "TLS_DHE_PSK_WITH_AES_256_GCM_SHA384"),
        ("TLS1.2", "CHACHA20-POLY1305", "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"),
    ] {
        let priority = format!("NORMAL:-VERS-ALL:+VERS-{version}:-CIPHER-ALL:+{cipher}");
        for (server, client) in [(priority.as_str(), "NORMAL"), ("NORMAL", priority.as_str())] {
            let connector = connector("bob", &keys, client);
            let mut pair = Pair::new(&acceptor(&keys, server), &connector, "ignored").expect();
            for engine in [&pair.server, &pair.client] {
                let session = engine.session().unwrap();
                assert_eq!((session.version, session.cipher.as_str()), (version, name));
                assert_eq!(session.psk_identity.as_deref(), Some("bob"));
                assert!(session.certificate.is_none());
            }
            assert_eq!(send(&mut pair.client, &mut pair.server, b"to the server"), b"to the server");
            assert_eq!(send(&mut pair.server, &mut pair.client, b"to the client"), b"to the client");
        }
    }
}

#[test]
fn wrong_keys_and_unknown_users() {
    let folder = TempDir::new().unwrap();
    let keys = file(&folder, "keys", KEYS);
    let others = file(&folder, "others", "alice:0badbadbad\nmallory:ffff\n");
    for priority in ["NORMAL:-VERS-TLS1.3", "NORMAL:-VERS-TLS1.2"] {
        for (user, kind, text) in [
            ("alice", ErrorKind::WrongKey, "client has another TLS-PSK key for the user name \"alice\""),
            ("mallory", ErrorKind::UnknownUser, "client gave an unknown TLS-PSK user name \"mallory\""),
        ] {
            let pair = Pair::new(&acceptor(&keys, "NORMAL"), &connector(user, &others, priority), "");
            let (server, client) = (pair.failed.0.unwrap(), pair.failed.1.unwrap());
            assert_eq!((server.kind(), server.to_string().as_str()), (kind, text), "{priority}");
            assert_eq!(client.kind(), ErrorKind::Alert, "{client}");
            assert!(client.to_string().starts_with("peer sent alert: "), "{client}");
        }
    }
}

#[test]
fn nothing_in_common() {
    let folder = TempDir::new().unwrap();
    let keys = file(&folder, "keys", KEYS);
    for (server, client, text) in [
        ("NORMAL:-VERS-TLS1.2", "NORMAL:-VERS-TLS1.3", "no TLS version in common with the client"),
        ("NORMAL:-VERS-TLS1.3", "NORMAL:-VERS-TLS1.2", "no TLS version in common with the client"),
        (
            "NORMAL:-VERS-TLS1.3:-AES-128-GCM",
            "NORMAL:-VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM",
            "no cipher for pre-shared keys in common with the client",
        ),
    ] {
        let pair = Pair::new(&acceptor(&keys, server), &connector("bob", &keys, client), "");
        let error = pair.failed.0.unwrap();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::NothingInCommon, text));
        assert_eq!(pair.failed.1.unwrap().kind(), ErrorKind::Alert);
    }
    let none = words("NORMAL:-VERS-TLS1.2:-CIPHER-ALL:+AES-256-GCM");
    let error = Acceptor::psk(&keys, &none).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// The two engines of this crate, each with its own kind: a client with a key does not believe a certificate.
#[test]
fn keys_against_certificates() {
    let (pki, folder) = (Pki::new("CA"), TempDir::new().unwrap());
    let keys = file(&folder, "keys", KEYS);
    for priority in ["NORMAL:-VERS-TLS1.3", "NORMAL:-VERS-TLS1.2"] {
        let pair = Pair::new(&pki.acceptor(&LEAF, false, priority), &connector("alice", &keys, priority), "");
        assert!(pair.failed.0.is_some() && pair.failed.1.is_some(), "{priority}");
        if priority == "NORMAL:-VERS-TLS1.2" {
            let error = pair.failed.1.unwrap();
            assert_eq!(error.kind(), ErrorKind::WrongKey);
            assert_eq!(error.to_string(), "server showed a certificate instead of using the pre-shared key");
        }
        let pair = Pair::new(&acceptor(&keys, priority), &pki.connector(None, false, priority), "localhost");
        assert!(pair.failed.0.is_some() && pair.failed.1.is_some(), "{priority}");
    }
}

#[test]
fn users_that_come_and_go() {
    let folder = TempDir::new().unwrap();
    let keys = file(&folder, "keys", KEYS);
    let acceptor = acceptor(&keys, "NORMAL");
    let carol = connector("carol", &file(&folder, "hers", "carol:abcd"), "NORMAL");
    let outcome = || Pair::new(&acceptor, &carol, "").failed.0.map(|error| (error.kind(), error.to_string()));
    assert_eq!(outcome().unwrap().0, ErrorKind::UnknownUser);
    fs::write(&keys, format!("{KEYS}carol:abcd\n")).unwrap();
    assert_eq!(outcome(), None);
    fs::write(&keys, format!("{KEYS}carol:abcx\n")).unwrap();
    let bad = format!("{}: line 3 should be USERNAME:HEXKEY", keys.display());
    assert_eq!(outcome(), Some((ErrorKind::Malformed, bad)));
    fs::remove_file(&keys).unwrap();
    let gone = format!("{}: No such file or directory", keys.display());
    assert_eq!(outcome(), Some((ErrorKind::Unreadable, gone)));
}

#[test]
fn files_and_names_that_cannot_be_used() {
    let folder = TempDir::new().unwrap();
    let priority = words("NORMAL");
    let nowhere = folder.path().join("nowhere");
    let gone = format!("{}: No such file or directory", nowhere.display());
    for error in [
        Acceptor::psk(&nowhere, &priority).unwrap_err(),
        Connector::psk("alice", &nowhere, &priority).unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unreadable, gone.clone()));
    }
    let bad = file(&folder, "bad", "alice:aa\nbob is not here\n");
    let error = Acceptor::psk(&bad, &priority).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(error.to_string(), format!("{}: line 2 should be USERNAME:HEXKEY", bad.display()));
    let error = Connector::psk("bob", &bad, &priority).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownUser);
    assert_eq!(error.to_string(), format!("{}: no TLS-PSK user \"bob\"", bad.display()));
    for name in ["", "a\0b", "long".repeat(40).as_str()] {
        assert_eq!(Connector::psk(name, &bad, &priority).unwrap_err().kind(), ErrorKind::Config);
    }
}

#[test]
fn a_file_that_everybody_may_read() {
    let folder = TempDir::new().unwrap();
    let keys = file(&folder, "keys", KEYS);
    for (mode, warns) in [(0o600, false), (0o640, false), (0o604, true), (0o644, true)] {
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).unwrap();
        let text = format!("{}: everybody may read these keys: chmod o-r", keys.display());
        assert_eq!(acceptor(&keys, "NORMAL").warning(), warns.then_some(text.as_str()), "{mode:o}");
    }
}

#[test]
fn never_shown() {
    for (acceptor, connector) in halves() {
        let pair = Pair::new(&acceptor, &connector, "");
        let text = format!("{acceptor:?} {connector:?} {:?} {:?}", pair.server, pair.client);
        assert!(!text.contains("0001") && !text.contains("0, 1, 2"), "{text}");
    }
}
