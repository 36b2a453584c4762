// SPDX-License-Identifier: BSD-3-Clause
//! Each way in which the two do not come together ends in an alert that says why, and in one line of the log.

use nbdkit_tests::{Launch, Server, run, tool, until};

use crate::client::{Tls, agreed, connector};
use crate::credentials::{Authority, Folder, Subject, uri};

const VERSIONS: [&str; 2] = ["TLS1.2", "TLS1.3"];

/// A server with the certificates of `folder`, on TCP, so that clients look at the name of the host.
fn serve(folder: &Folder, more: &[&str]) -> Server {
    let mut args = vec!["--tls=require".to_owned(), folder.option()];
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args.extend(["memory".to_owned(), "1M".to_owned()]);
    Launch::new(args).tcp().start()
}

/// There are `count` lines in the log, one for each client, and the last of them says `why`.
#[track_caller]
fn logged(server: &Server, count: usize, why: &str) {
    let errors = || -> Vec<String> {
        let stderr = server.stderr();
        stderr.lines().filter(|line| line.contains("error: ")).map(str::to_owned).collect()
    };
    until("the log line", || errors().len() >= count);
    let errors = errors();
    assert_eq!(errors.len(), count, "{errors:#?}");
    let last = errors.last().unwrap();
    assert!(last.contains("error: TLS handshake failed: ") && last.contains(why), "{why:?} in {last:?}");
}

/// The server refuses this client: `alert` is what the client is told, `why` what the operator is told.
#[track_caller]
fn server_refuses(server: &Server, client: &Folder, alert: &str, why: &str) {
    for (i, version) in VERSIONS.into_iter().enumerate() {
        let mut tls = Tls::over(agreed(server), &connector(client, version));
        let told = tls.refused();
        assert!(told.contains(&format!("alert: {alert}")), "{version}: {told}");
        logged(server, i + 1, why);
    }
    let said = run(tool("nbdinfo").arg(client.uri(server))).fails();
    // GnuTLS does not show a certificate of which it knows that it will not be liked.
    let shown = why != "client certificate signed by an unknown CA";
    logged(server, VERSIONS.len() + 1, if shown { why } else { "client sent no certificate" });
    assert!(!said.stderr.contains("reset by peer"), "no alert: {}", said.stderr);
    assert!(!server.process().gone());
}

/// The client refuses this server, which is told so.
#[track_caller]
fn client_refuses(server: &Server, client: &Folder, alert: &str) {
    for (i, version) in VERSIONS.into_iter().enumerate() {
        Tls::over(agreed(server), &connector(client, version)).handshake().unwrap_err();
        logged(server, i + 1, &format!("alert: {alert}"));
    }
    run(tool("nbdinfo").arg(client.uri(server))).fails();
    // GnuTLS as libnbd uses it hangs up without a word.
    logged(server, VERSIONS.len() + 1, "");
}

#[test]
fn a_client_without_certificate() {
    let (folder, authority) = Folder::complete();
    let server = serve(&folder, &["--tls-verify-peer"]);
    let client = Folder::trusting(&authority);
    server_refuses(&server, &client, "certificate required", "client sent no certificate");
}

#[test]
fn a_client_of_another_authority() {
    let (folder, authority) = Folder::complete();
    let server = serve(&folder, &["--tls-verify-peer"]);
    let other = Authority::new("Another authority");
    let client = Folder::trusting(&authority).client(&other, Subject::new("stranger"));
    server_refuses(&server, &client, "unknown CA", "client certificate signed by an unknown CA");
}

#[test]
fn a_client_whose_certificate_has_expired() {
    let (folder, authority) = Folder::complete();
    let server = serve(&folder, &["--tls-verify-peer"]);
    let client = Folder::trusting(&authority).client(&authority, Subject::new("former").expired());
    server_refuses(&server, &client, "certificate expired", "client certificate expired");
}

#[test]
fn a_client_whose_certificate_was_revoked() {
    let (folder, authority) = Folder::complete();
    let server = serve(&folder.revoking(&authority, 66), &["--tls-verify-peer"]);
    let client = Folder::trusting(&authority).client(&authority, Subject::new("thief").serial(66));
    server_refuses(&server, &client, "certificate revoked", "client certificate revoked");
    let client = Folder::trusting(&authority).client(&authority, Subject::new("owner").serial(67));
    run(tool("nbdinfo").arg(client.uri(&server))).ok();
}

#[test]
fn a_client_with_the_certificate_of_a_server() {
    let (folder, authority) = Folder::complete();
    let server = serve(&folder, &["--tls-verify-peer"]);
    let client = Folder::trusting(&authority);
    client.put("client-cert.pem", &folder.read("server-cert.pem"), 0o644);
    client.put("client-key.pem", &folder.read("server-key.pem"), 0o600);
    let told = Tls::over(agreed(&server), &connector(&client, "TLS1.3")).refused();
    assert!(told.contains("alert: "), "{told}");
    logged(&server, 1, "not made for a TLS client");
}

#[test]
fn a_client_is_asked_for_nothing_unless_told() {
    let (folder, authority) = Folder::complete();
    let server = serve(&folder, &["-v", "-D", "nbdkit.tls.session=1"]);
    let client = Folder::trusting(&authority).client(&Authority::new("Another"), Subject::new("x").expired());
    for client in [&folder, &client, &Folder::trusting(&authority)] {
        run(tool("nbdinfo").arg(client.uri(&server))).ok();
    }
    assert!(server.stderr().contains("no client certificate"), "{}", server.stderr());
}

#[test]
fn who_the_client_is_can_be_told() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &["-v", "-D", "nbdkit.tls.session=1", "--tls-verify-peer"]);
    for version in VERSIONS {
        Tls::over(agreed(&server), &connector(&folder, version)).handshake().unwrap();
        let line = "client certificate of 'CN=client', issued by 'CN=Authority of the tests'";
        until("the session", || {
            server
                .stderr()
                .lines()
                .any(|l| l.contains(&format!("TLS session: {version}, ")) && l.ends_with(line))
        });
    }
}

#[test]
fn the_steps_of_a_handshake_can_be_told() {
    let (folder, _) = Folder::complete();
    for (level, steps) in [("0", 0), ("1", 1), ("99", 1)] {
        let server = serve(&folder, &["-v", "-D", &format!("nbdkit.tls.log={level}")]);
        Tls::connect(&server, &folder).goodbye();
        until("the handshake", || server.stderr().contains("TLS handshake completed"));
        let told = server.stderr().matches("debug: TLS handshake: ").count();
        assert!(told >= steps && (steps > 0 || told == 0), "{level}: {}", server.stderr());
        assert!(!server.stderr().contains("TLS session: "), "{}", server.stderr());
    }
}

#[test]
fn a_server_of_another_authority() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &[]);
    client_refuses(&server, &Folder::trusting(&Authority::new("Another authority")), "unknown CA");
}

#[test]
fn a_server_on_another_host() {
    let authority = Authority::new("Authority");
    let subject = Subject::new("server").hosts(&["elsewhere.example"]);
    let folder = Folder::trusting(&authority).server(&authority, subject);
    client_refuses(&serve(&folder, &[]), &folder, "bad certificate");
}

#[test]
fn a_server_whose_certificate_has_expired() {
    let authority = Authority::new("Authority");
    let folder = Folder::trusting(&authority).server(&authority, Subject::new("server").expired());
    client_refuses(&serve(&folder, &[]), &folder, "certificate expired");
}

#[test]
fn a_server_whose_certificate_was_revoked() {
    let (folder, authority) = Folder::complete();
    let server = serve(&folder, &[]);
    let client = Folder::trusting(&authority).revoking(&authority, 1);
    let mut tls = Tls::over(agreed(&server), &connector(&client, "TLS1.3"));
    tls.handshake().unwrap_err();
    logged(&server, 1, "alert: certificate revoked");
}

#[test]
fn versions_and_ciphers_that_have_nothing_in_common() {
    let (folder, _) = Folder::complete();
    for (ours, theirs) in [("-VERS-TLS1.3", "TLS1.3"), ("-VERS-TLS1.2", "TLS1.2")] {
        let server = serve(&folder, &[&format!("--tls-priority=NORMAL:{ours}")]);
        let told = Tls::over(agreed(&server), &connector(&folder, theirs)).refused();
        assert!(told.contains("alert: "), "{told}");
        logged(&server, 1, "in common");
    }
    let server = serve(
        &folder,
        &["--tls-priority=NORMAL:-CIPHER-ALL:+AES-256-GCM", "-v", "-D", "nbdkit.tls.session=1"],
    );
    for version in VERSIONS {
        Tls::over(agreed(&server), &connector(&folder, version)).handshake().unwrap();
    }
    until("two sessions", || server.stderr().matches("AES_256_GCM").count() == 2);
}

#[test]
fn a_user_without_a_key_and_one_with_another() {
    let (folder, _) = Folder::complete();
    let keys = folder.put("keys.psk", "alice:00112233445566778899aabbccddeeff\n", 0o600);
    let server = Launch::new(["--tls=require", &format!("--tls-psk={}", keys.display()), "memory", "1M"])
        .tcp()
        .start();
    let theirs = folder.put(
        "theirs.psk",
        "alice:ffeeddccbbaa99887766554433221100\nmallory:00112233445566778899aabbccddeeff\n",
        0o600,
    );
    let query = format!("tls-psk-file={}", theirs.display());
    run(tool("nbdinfo").arg(uri(&server, "mallory", &query))).fails().says("fatal alert");
    logged(&server, 1, "mallory");
    run(tool("nbdinfo").arg(uri(&server, "alice", &query))).fails().says("fatal alert");
    logged(&server, 2, "key");
    // Certificates in place of keys.
    Tls::over(agreed(&server), &connector(&folder, "TLS1.3")).handshake().unwrap_err();
    logged(&server, 3, "");
    run(tool("nbdinfo").arg(uri(&server, "alice", &format!("tls-psk-file={}", keys.display())))).ok();
}
