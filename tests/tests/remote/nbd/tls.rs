// SPDX-License-Identifier: BSD-3-Clause
//! Encrypted servers: the original nbdkit with GnuTLS, and ours; who is believed, and who is not.

#[allow(dead_code, reason = "each of those who make certificates uses its part")]
#[path = "../../tls/credentials.rs"]
mod credentials;

use credentials::{Authority, Folder, Subject};
use nbdkit_tests::data::{assert_same, random};
use nbdkit_tests::files::scratch;
use nbdkit_tests::{Launch, Server, run, tool};

use super::servers::Foreign;

/// Connects to `uri` with `args`, which works.
#[track_caller]
fn gets_through(args: &[&str]) {
    let proxy = Server::start(["nbd"].iter().chain(args));
    assert_eq!(
        run(tool("nbdinfo").arg("--size").arg(proxy.uri())).ok().text(),
        "1048576",
        "{}",
        proxy.stderr()
    );
}

/// Connects to `uri` with `args`, which fails for this reason.
#[track_caller]
fn fails(args: &[&str], why: &str) {
    let proxy = Server::start(["nbd"].iter().chain(args));
    run(tool("nbdinfo").arg("--size").arg(proxy.uri())).fails();
    let said = proxy.stderr();
    assert!(said.contains(why), "{args:?} should fail with {why}: {said}");
}

#[test]
fn certificates_of_the_original_and_ours() {
    let (folder, _authority) = Folder::complete();
    let option = folder.option();
    let certificates = format!("tls-certificates={}", folder.path().display());
    let args = ["--tls=require", "--tls-verify-peer", &option, "memory", "1M"];
    let (original, ours) = (Foreign::original(args), Server::start(args));
    for socket in [original.socket(), ours.socket()] {
        let socket = socket.display();
        gets_through(&[&format!("socket={socket}"), "tls=require", &certificates]);
        gets_through(&[&format!("socket={socket}"), &certificates]);
        gets_through(&[&format!("nbds+unix://?socket={socket}"), &certificates]);
        gets_through(&[&format!("nbds+unix://?socket={socket}&{certificates}")]);
        // Without ours, which it wants to see; without its authority; and without encryption.
        fails(&[&format!("socket={socket}")], "NBD_REP_ERR_TLS_REQD");
    }
    let (stranger, _) = Folder::complete();
    let stranger = format!("tls-certificates={}", stranger.path().display());
    fails(&[&format!("socket={}", ours.socket().display()), &stranger], "TLS handshake");
}

#[test]
fn the_host_must_be_the_one_in_the_certificate() {
    let authority = Authority::new("Authority of the tests");
    let folder =
        Folder::trusting(&authority).server(&authority, Subject::new("server").hosts(&["other.example"]));
    let option = folder.option();
    let certificates = format!("tls-certificates={}", folder.path().display());
    let server = Launch::new(["--tls=require", &option, "memory", "1M"]).tcp().start();
    let nbdkit_tests::raw::Address::Tcp(port) = server.address() else { panic!("TCP was asked for") };
    let (host, port) = ("hostname=localhost", format!("port={port}"));
    fails(&[host, &port, "tls=require", &certificates], "TLS handshake");
    fails(&[host, &port, "tls=on", &certificates], "TLS handshake");
    gets_through(&[host, &port, "tls=require", &certificates, "tls-verify=false"]);
    let uri = server.uri().replace("nbd://", "nbds://");
    gets_through(&[&format!("{uri}?tls-hostname=other.example&{certificates}")]);
    gets_through(&[&format!("{uri}?tls-verify-peer=0&{certificates}")]);
    fails(&[&format!("{uri}?tls-hostname=third.example&{certificates}")], "TLS handshake");
}

#[test]
fn plain_text_is_refused_where_encryption_is_required() {
    let (folder, _authority) = Folder::complete();
    let certificates = format!("tls-certificates={}", folder.path().display());
    let server = Server::start(["memory", "1M"]);
    let socket = format!("socket={}", server.socket().display());
    fails(&[&socket, "tls=require", &certificates], "server refused NBD_OPT_STARTTLS");
    fails(&[&format!("nbds+unix://?{socket}"), &certificates], "server refused NBD_OPT_STARTTLS");
    gets_through(&[&socket, "tls=on", &certificates]);
}

#[test]
fn keys_that_both_sides_know() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, others) = (dir.path().join("keys"), dir.path().join("others"));
    std::fs::write(&keys, "alice:000102030405060708090a0b0c0d0e0f\n").unwrap();
    std::fs::write(&others, "alice:ff0102030405060708090a0b0c0d0e0f\nbob:00\n").unwrap();
    let option = format!("--tls-psk={}", keys.display());
    let args = ["--tls=require", &option, "memory", "1M"];
    let (original, ours) = (Foreign::original(args), Server::start(args));
    for socket in [original.socket(), ours.socket()] {
        let socket = format!("socket={}", socket.display());
        let psk = format!("tls-psk={}", keys.display());
        gets_through(&[&socket, &psk, "tls-username=alice"]);
        gets_through(&[&format!("nbds+unix://alice@/?{socket}&tls-psk-file={}", keys.display())]);
        fails(&[&socket, &format!("tls-psk={}", others.display()), "tls-username=alice"], "TLS handshake");
        fails(&[&socket, &format!("tls-psk={}", others.display()), "tls-username=bob"], "TLS handshake");
    }
}

#[test]
fn megabytes_come_through_encrypted() {
    let dir = scratch();
    let (image, copy) = (dir.path().join("image"), dir.path().join("copy"));
    std::fs::write(&image, random(7, 64 << 20)).unwrap();
    let (folder, _authority) = Folder::complete();
    let option = folder.option();
    let certificates = format!("tls-certificates={}", folder.path().display());
    for shared in ["shared=false", "shared=true"] {
        let server = Foreign::original(["--tls=require", &option, "memory", "64M"]);
        let socket = format!("socket={}", server.socket().display());
        let proxy = Server::start(["nbd", &socket, "tls=require", &certificates, shared]);
        run(tool("nbdcopy").arg(&image).arg(proxy.uri())).ok();
        run(tool("nbdcopy").arg(proxy.uri()).arg(&copy)).ok();
        assert_same(&copy, &image);
    }
}
