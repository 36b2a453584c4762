// SPDX-License-Identifier: BSD-3-Clause
//! The programs of OpenSSL and GnuTLS: every version, cipher and kind of certificate, one by one.

use std::process::Command;

use nbdkit_tests::{Launch, Server, run, tool, until};

use crate::credentials::{Authority, Folder, Subject};
use crate::door::{REPLY, through};

fn serve(folder: &Folder, more: &[&str]) -> Server {
    let mut args = vec!["--tls=require".to_owned(), folder.option()];
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args.extend(["memory".to_owned(), "1M".to_owned()]);
    Launch::new(args).tcp().start()
}

/// `openssl s_client` with the certificates of `folder`.
fn s_client(folder: &Folder, port: u16, more: &[&str]) -> Command {
    let file = |name: &str| folder.path().join(name);
    let mut command = tool("openssl");
    command.args(["s_client", "-verify_return_error", "-verify_hostname", "localhost"]);
    command.args(["-connect", &format!("127.0.0.1:{port}"), "-servername", "localhost"]).args(more);
    command.arg("-CAfile").arg(file("ca-cert.pem"));
    command.arg("-cert").arg(file("client-cert.pem")).arg("-key").arg(file("client-key.pem"));
    command
}

#[test]
fn openssl() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &["--tls-verify-peer"]);
    for [version, option, cipher] in [
        ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
        ["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"],
        ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
    ] {
        let output = through(&server, |port| s_client(&folder, port, &["-quiet", version, option, cipher]));
        assert!(output.stdout.starts_with(REPLY), "{version} {cipher}: {}", output.report());
    }
}

#[test]
fn certificates_of_rsa() {
    let authority = Authority::rsa("Authority");
    let folder = Folder::trusting(&authority)
        .server(&authority, Subject::new("server").rsa())
        .client(&authority, Subject::new("client").rsa());
    let server = serve(&folder, &["--tls-verify-peer"]);
    run(tool("nbdinfo").arg(folder.uri(&server))).ok();
    for [version, option, cipher] in [
        ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
        ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
        ["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"],
        ["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"],
    ] {
        let output = through(&server, |port| s_client(&folder, port, &["-quiet", version, option, cipher]));
        assert!(output.stdout.starts_with(REPLY), "{version} {cipher}: {}", output.report());
    }
    for version in ["TLS1.2", "TLS1.3"] {
        let output = through(&server, |port| gnutls_cli(&folder, port, version));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("- Status: The certificate is trusted."), "{}", output.report());
    }
    // A key exchange without a key of one's own is what makes old recordings readable: it is not to be had.
    let rsa = ["-tls1_2", "-cipher", "AES128-GCM-SHA256"];
    through(&server, |port| s_client(&folder, port, &rsa)).fails();
}

#[test]
fn the_certificate_is_of_a_kind_that_the_client_knows() {
    let authority = Authority::new("Authority");
    let folder = Folder::trusting(&authority)
        .server(&authority, Subject::new("first").rsa())
        .further_server(0, &authority, Subject::new("second"))
        .client(&authority, Subject::new("client"));
    let server = serve(&folder, &[]);
    for (args, subject) in [
        (&["-tls1_3"][..], "first"),
        (&["-tls1_3", "-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA256"], "first"),
        (&["-tls1_3", "-sigalgs", "ECDSA+SHA256"], "second"),
        (&["-tls1_2"], "first"),
        (&["-tls1_2", "-sigalgs", "ECDSA+SHA256"], "second"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "second"),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "first"),
    ] {
        let output = through(&server, |port| s_client(&folder, port, args));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("subject=CN = {subject}\n")), "{args:?}: {}", output.report());
    }
    run(tool("nbdinfo").arg(folder.uri(&server))).ok();
}

#[test]
fn authorities_of_authorities() {
    let root = Authority::new("Root");
    let middle = root.intermediate("Middle");
    let folder = || {
        Folder::trusting(&root)
            .server(&middle, Subject::new("server"))
            .client(&middle, Subject::new("client").serial(7))
    };
    let good = folder().with_chains(&middle);
    let server = serve(&good, &["--tls-verify-peer"]);
    run(tool("nbdinfo").arg(good.uri(&server))).ok();
    let chain = good.path().join("client-cert.pem");
    let args = ["-quiet", "-cert_chain", chain.to_str().unwrap()];
    let output = through(&server, |port| s_client(&good, port, &args));
    assert!(output.stdout.starts_with(REPLY), "{}", output.report());
    // Who vouches for the client nobody knows, if it does not say so.
    run(tool("nbdinfo").arg(folder().uri(&server))).fails();

    // A list of the one that has signed it; the other has none.
    let revoking = folder().with_chains(&middle).revoking(&middle, 7);
    let server = serve(&revoking, &["--tls-verify-peer"]);
    run(tool("nbdinfo").arg(revoking.uri(&server))).fails();
    until("the log line", || server.stderr().contains("client certificate revoked"));
}

/// `gnutls-cli` with the certificates of `folder`.
pub fn gnutls_cli(folder: &Folder, port: u16, version: &str) -> Command {
    let mut command = tool("gnutls-cli");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let priority = format!("NORMAL:-VERS-ALL:+VERS-{version}");
    command.args(["--port", &port.to_string(), "--verify-hostname", "localhost", "--priority", &priority]);
    command.args(["--x509cafile", &file("ca-cert.pem"), "--x509certfile", &file("client-cert.pem")]);
    command.args(["--x509keyfile", &file("client-key.pem"), "127.0.0.1"]);
    command
}

#[test]
fn gnutls() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &["--tls-verify-peer"]);
    for version in ["TLS1.2", "TLS1.3"] {
        let output = through(&server, |port| gnutls_cli(&folder, port, version));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("- Status: The certificate is trusted."), "{}", output.report());
        assert!(text.contains(&format!("- Description: ({version}")), "{}", output.report());
        assert!(text.contains("- Handshake was completed"), "{}", output.report());
    }
}
