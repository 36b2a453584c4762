// SPDX-License-Identifier: BSD-3-Clause
//! Folders of certificates: what is missing, unreadable or malformed is told apart, and named.

use crate::{
    pipe::Pair,
    pki::{LEAF, Pki, words},
};
use nbd_tls::{ClientCertificates, Connector, Directory, ErrorKind};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

fn load(path: &Path) -> (ErrorKind, String) {
    let error = Directory::load(path).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn what_makes_a_folder() {
    let pki = Pki::new("CA");
    let path = pki.server_folder(&LEAF);
    assert!(Directory::is_one(&path));
    Directory::load(&path).unwrap();
    for name in ["ca-cert.pem", "server-cert.pem", "server-key.pem"] {
        let file = path.join(name);
        let kept = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert!(!Directory::is_one(&path), "{name}");
        let missing = format!("{}: No such file or directory", file.display());
        assert_eq!(load(&path), (ErrorKind::NotADirectory, missing));
        fs::write(&file, "what?").unwrap();
        assert!(Directory::is_one(&path));
        let (kind, text) = load(&path);
        assert_eq!(kind, ErrorKind::Malformed);
        assert!(text.starts_with(&format!("{}: no ", file.display())), "{text}");
        let cut = String::from_utf8(kept[..kept.len() / 2].to_vec()).unwrap();
        fs::write(&file, cut).unwrap();
        assert_eq!(load(&path).0, ErrorKind::Malformed, "{name}");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap(); // can be opened, not read
        assert_eq!(load(&path), (ErrorKind::Unreadable, format!("{}: Is a directory", file.display())));
        fs::remove_dir(&file).unwrap();
        fs::write(&file, kept).unwrap();
    }
    assert_eq!(load(&path.join("nowhere")).0, ErrorKind::NotADirectory);
    Directory::load(&path).unwrap();
}

#[test]
fn additional_files() {
    let pki = Pki::new("CA");
    let path = pki.server_folder(&LEAF);
    let (certificate, key) = pki.leaf(&LEAF);
    pki.folder("server", &[("server-cert-0.pem", &certificate)]);
    let half = format!("{}: No such file or directory", path.join("server-key-0.pem").display());
    assert_eq!(load(&path), (ErrorKind::Malformed, half));
    let (_, another) = pki.leaf(&LEAF);
    pki.folder("server", &[("server-key-0.pem", &another)]);
    let (kind, text) = load(&path);
    assert_eq!(kind, ErrorKind::Malformed);
    assert!(text.contains("server-key-0.pem: this key does not belong to the certificate "), "{text}");
    pki.folder("server", &[("server-key-0.pem", &key), ("server-cert-2.pem", "behind a gap")]);
    Directory::load(&path).unwrap();
    pki.folder("server", &[("ca-crl.pem", "what?")]);
    assert_eq!(load(&path).0, ErrorKind::Malformed);
    pki.folder("server", &[("ca-crl.pem", &pki.revocations(&[1]))]);
    Directory::load(&path).unwrap();
}

#[test]
fn of_a_client() {
    let pki = Pki::new("CA");
    let path = pki.client_folder(Some(&LEAF));
    let connector = |verify| {
        let certificates = ClientCertificates { directory: Some(&path), verify };
        Connector::certificates(certificates, &words("NORMAL"))
    };
    connector(true).unwrap();
    fs::remove_file(path.join("client-key.pem")).unwrap();
    assert_eq!(connector(true).unwrap_err().kind(), ErrorKind::Malformed);
    fs::remove_file(path.join("client-cert.pem")).unwrap();
    connector(true).unwrap();
    fs::remove_file(path.join("ca-cert.pem")).unwrap();
    assert_eq!(connector(true).unwrap_err().kind(), ErrorKind::NotADirectory);
    connector(false).unwrap(); // who verifies nothing needs no authority
}

/// Without a folder it is the system that trusts, and it does not know us.
#[test]
fn what_the_system_trusts() {
    let pki = Pki::new("CA");
    match Connector::certificates(ClientCertificates { directory: None, verify: true }, &words("NORMAL")) {
        Ok(connector) => {
            let pair = Pair::new(&pki.acceptor(&LEAF, false, "NORMAL"), &connector, "localhost");
            assert_eq!(pair.failed.1.unwrap().kind(), ErrorKind::UnknownAuthority);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Config, "{error}"),
    }
}

#[test]
fn a_key_that_everybody_may_read() {
    let pki = Pki::new("CA");
    let path = pki.server_folder(&LEAF);
    let key = path.join("server-key.pem");
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let directory = Directory::load(&path).unwrap();
        assert_eq!(directory.warnings().len(), usize::from(warned), "{mode:o}");
        if warned {
            let text = format!("{}: everybody may read this private key: chmod o-r", key.display());
            assert_eq!(directory.warnings(), [text]);
        }
    }
}

/// Keys as several programs write them.
#[test]
fn formats_of_keys() {
    let pki = Pki::new("CA");
    let path = pki.server_folder(&LEAF);
    let openssl = |script: &str| {
        let script = format!("cd {} && {{ {script}; }} >/dev/null 2>&1", path.display());
        match Command::new("sh").args(["-c", &script]).status() {
            Ok(status) if status.success() => true,
            _ if std::env::var_os("CI").is_some() => panic!("openssl is needed: {script}"),
            _ => {
                eprintln!("skipped: openssl is not installed");
                false
            }
        }
    };
    let sign = "openssl req -x509 -key server-key.pem -subj /CN=localhost -out server-cert.pem";
    for (format, made) in [
        ("BEGIN RSA PRIVATE KEY", "openssl genrsa -traditional -out server-key.pem 2048"),
        (
            "BEGIN PRIVATE KEY",
            "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out server-key.pem",
        ),
        ("BEGIN EC PRIVATE KEY", "openssl ecparam -genkey -noout -name prime256v1 -out server-key.pem"),
        ("BEGIN PRIVATE KEY", "openssl genpkey -algorithm ED25519 -out server-key.pem"),
    ] {
        if openssl(&format!("{made} && {sign}")) {
            assert!(fs::read_to_string(path.join("server-key.pem")).unwrap().contains(format), "{format}");
            Directory::load(&path).unwrap_or_else(|error| panic!("{format}: {error}"));
        }
    }
    let encrypt =
        "openssl pkey -in server-key.pem -aes128 -passout pass:secret -out k && mv k server-key.pem";
    if openssl(encrypt) {
        let (kind, text) = load(&path);
        assert_eq!(kind, ErrorKind::Malformed);
        assert!(text.contains("server-key.pem: the private key is encrypted"), "{text}");
    }
}
