// SPDX-License-Identifier: BSD-3-Clause
//! Whom the plugin trusts.

use std::fs;

use nbdkit_tests::{nbdkit, run, tool};

use super::{nginx::Nginx, open};

const REFUSED: &str = "certificate verify failed";

#[test]
fn a_server_that_nobody_vouches_for() {
    let nginx = Nginx::start("");
    let url = nginx.https("/disk.img");
    open(&[&url]).fails().says(REFUSED).says("its issuer is not trusted");
    open(&[&url, "cainfo="]).fails().says(REFUSED);
    open(&[&url, "cainfo=", "sslverify=false"]).ok();
    open(&[&url, "sslverify=false"]).ok();
    open(&[&url, &nginx.cainfo()]).ok();
}

#[test]
fn a_directory_of_certificates() {
    let nginx = Nginx::start("");
    let url = nginx.https("/disk.img");
    let dir = nginx.path("trusted");
    fs::create_dir(&dir).unwrap();
    let capath = format!("capath={}", dir.display());
    open(&[&url, &capath]).fails().says(REFUSED);
    fs::copy(nginx.path("ca.pem"), dir.join("mine.pem")).unwrap();
    open(&[&url, &capath]).ok();
    open(&[&url, &capath, "cainfo="]).ok();
}

#[test]
fn what_the_system_trusts() {
    let nginx = Nginx::start("");
    let url = nginx.https("/disk.img");
    let with = |variable: &str, value: &str| {
        let args = ["-U", "-", "-r", "curl", &url, "--run", "nbdinfo --size \"$uri\""];
        run(nbdkit().args(args).env(variable, value))
    };
    with("SSL_CERT_FILE", nginx.path("ca.pem").to_str().unwrap()).ok();
    let dir = nginx.path("trusted");
    fs::create_dir(&dir).unwrap();
    fs::copy(nginx.path("ca.pem"), dir.join("0a1b2c3d.0")).unwrap();
    with("SSL_CERT_DIR", dir.to_str().unwrap()).ok();
    with("SSL_CERT_FILE", "/nowhere").fails().says(REFUSED);
}

#[test]
fn a_server_with_another_name() {
    let nginx = Nginx::start("");
    let url = format!("https://other.example:{}/disk.img", nginx.tls_port());
    let resolve = format!("resolve=other.example:{}:127.0.0.1", nginx.tls_port());
    open(&[&url, &nginx.cainfo(), &resolve]).fails().says(REFUSED).says("other.example");
}

#[test]
fn versions_and_ciphers() {
    let nginx = Nginx::start("ssl_protocols TLSv1.2;");
    let url = nginx.https("/disk.img");
    open(&[&url, &nginx.cainfo(), "ssl-version=tlsv1.2"]).ok();
    open(&[&url, &nginx.cainfo(), "ssl-version=tlsv1.3"]).fails().says("TLS: ");
    // The certificate has a key for ECDSA.
    open(&[&url, &nginx.cainfo(), "ssl-cipher-list=ECDHE-ECDSA-AES128-GCM-SHA256"]).ok();
    open(&[&url, &nginx.cainfo(), "ssl-cipher-list=ECDHE-RSA-AES128-GCM-SHA256"]).fails().says("TLS: ");
    let nginx = Nginx::start("ssl_protocols TLSv1.3;");
    let url = nginx.https("/disk.img");
    open(&[&url, &nginx.cainfo(), "tls13-ciphers=TLS_CHACHA20_POLY1305_SHA256"]).ok();
    open(&[&url, &nginx.cainfo(), "ssl-cipher-list=ECDHE-RSA-AES128-GCM-SHA256"]).ok();
}

#[test]
fn a_certificate_that_is_its_own_issuer() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("own.pem"), dir.path().join("own.key"));
    let args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"];
    let names = ["-addext", "subjectAltName=DNS:localhost"];
    run(tool("openssl").args(args).args(names).arg("-out").arg(&certificate).arg("-keyout").arg(&key)).ok();
    let (shown, key) = (certificate.display(), key.display());
    let nginx = Nginx::start_with(&shown.to_string(), &key.to_string(), "");
    let url = nginx.https("/disk.img");
    let cainfo = format!("cainfo={shown}");
    open(&[&url, &cainfo]).fails().says(REFUSED).says("the certificate of an issuer (CA:TRUE)");
    open(&[&url, "sslverify=false"]).ok();
}

#[test]
fn a_certificate_that_has_expired() {
    let nginx = Nginx::start("");
    let (certificate, key) = (nginx.path("old.pem"), nginx.path("old.key"));
    let authority = super::authority::Authority::new();
    let ca = authority.save(&nginx.path("www"));
    authority.issue_expired(&["localhost"], &certificate, &key);
    let old = Nginx::start_with(&certificate.display().to_string(), &key.display().to_string(), "");
    let cainfo = format!("cainfo={}", ca.display());
    open(&[&old.https("/disk.img"), &cainfo]).fails().says(REFUSED).says("expired");
}
