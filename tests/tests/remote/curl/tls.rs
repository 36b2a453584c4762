// SPDX-License-Identifier: BSD-3-Clause
//! Whom the plugin trusts.

use std::fs;

use nbdkit_tests::{nbdkit, run};

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
