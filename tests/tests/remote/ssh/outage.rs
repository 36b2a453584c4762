// SPDX-License-Identifier: BSD-3-Clause
//! Servers that go, that come back, that say nothing, and that say nonsense.

use super::*;
use nbdkit_tests::data::{assert_bytes, random};
use nbdkit_tests::raw::{Client, cmd, err};
use nbdkit_tests::until;
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

const REQUESTS: u64 = 16;
const BLOCK: u64 = 64 << 10;

fn ready(config: &str) -> (Sshd, Vec<u8>) {
    let sshd = Sshd::with(config);
    let image = random(1, (REQUESTS * BLOCK) as usize);
    fs::write(sshd.path("disk.img"), &image).unwrap();
    (sshd, image)
}

/// Sixteen reads, without waiting for any.
fn ask(client: &mut Client) {
    for i in 0..REQUESTS {
        client.request(cmd::READ, 0, i * BLOCK, BLOCK).unwrap();
    }
}

#[test]
fn a_server_that_is_killed_fails_what_is_under_way_at_once() {
    let (mut sshd, _) = ready("");
    let server = Server::start(beside(&sshd, "disk.img"));
    let mut client = server.connect();
    client.structured("");
    // So that all of them are under way for sure.
    sshd.signal_sessions(Signal::SIGSTOP);
    ask(&mut client);
    sshd.kill();
    for _ in 0..REQUESTS {
        assert_eq!(client.reply().unwrap().error(), Some(err::EIO));
    }
    assert!(server.stderr().contains("lost the SSH session with 127.0.0.1"), "{}", server.stderr());
    assert_eq!(client.read(0, 512), Err(err::EIO), "and what comes after it");
    client.disconnect();
    let why = run(tool("nbdinfo").arg(server.uri())).fails();
    assert!(
        server.stderr().contains("failed to connect to remote host: 127.0.0.1: Connection refused"),
        "{}",
        why.report()
    );
    assert!(sshd.run());
    opens(&server);
}

fn nothing_is_lost_with_retry(away: Duration) {
    let (mut sshd, image) = ready("");
    let filter =
        ["-v", "--filter=retry", "retry-delay=1", "retries=40", "retry-exponential=no"].map(str::to_owned);
    let server = Server::start([&filter[..2], &beside(&sshd, "disk.img"), &filter[2..]].concat());
    let mut client = server.connect();
    client.structured("");
    let first = client.read(0, 512).unwrap();
    assert_bytes("before", &first, &image[..512]);
    sshd.signal_sessions(Signal::SIGSTOP);
    // Writes that overlap: the order counts, too.
    for i in 0..REQUESTS {
        let mut request = nbdkit_tests::raw::simple(0, cmd::WRITE, 1000 + i, i * 1000, 4000);
        request.extend_from_slice(&[i as u8; 4000]);
        client.send(&request).unwrap();
    }
    sshd.kill();
    until("an attempt that fails", || server.stderr().contains("Connection refused"));
    // Nothing to wait for: the point is that nothing happens.
    std::thread::sleep(away);
    assert!(sshd.run());
    for _ in 0..REQUESTS {
        assert_eq!(client.reply().unwrap().error(), None);
    }
    let mut expected = image;
    for i in 0..REQUESTS as usize {
        expected[i * 1000..i * 1000 + 4000].fill(i as u8);
    }
    let read = client.read(0, expected.len() as u32).unwrap();
    assert_bytes("after", &read, &expected);
    assert_bytes("the file", &fs::read(sshd.path("disk.img")).unwrap(), &expected);
}

#[test]
fn nothing_is_lost_with_retry_when_the_server_comes_back() {
    nothing_is_lost_with_retry(Duration::ZERO);
}

#[test]
#[ignore = "long: an outage of ten seconds"]
fn nothing_is_lost_with_retry_when_the_server_comes_back_late() {
    nothing_is_lost_with_retry(Duration::from_secs(10));
}

#[test]
fn a_server_that_stalls_is_given_up_after_the_timeout() {
    let (sshd, _) = ready("");
    let server = Server::start(but(beside(&sshd, "disk.img"), "", &["timeout=1"]));
    let mut client = server.connect();
    client.structured("");
    sshd.signal_sessions(Signal::SIGSTOP);
    ask(&mut client);
    for _ in 0..REQUESTS {
        assert_eq!(client.reply().unwrap().error(), Some(err::EIO));
    }
    assert!(server.stderr().contains("Timeout: no answer for 1 seconds"), "{}", server.stderr());
    sshd.signal_sessions(Signal::SIGCONT);
}

#[test]
fn a_server_that_stalls_for_less_is_waited_for() {
    let (sshd, image) = ready("");
    let server = Server::start(beside(&sshd, "disk.img"));
    let mut client = server.connect();
    client.structured("");
    sshd.signal_sessions(Signal::SIGSTOP);
    let cookie = client.request(cmd::READ, 0, 0, BLOCK).unwrap();
    sshd.signal_sessions(Signal::SIGCONT);
    assert_bytes("late", &client.read_reply(cookie, 0, BLOCK as u32).unwrap(), &image[..BLOCK as usize]);
}

#[test]
fn a_server_that_never_answers() {
    // It accepts, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("port={}", silent.local_addr().unwrap().port());
    let server = Server::start(["ssh", "host=127.0.0.1", &port, "config=", "disk.img", "timeout=500ms"]);
    let why = refuses(&server);
    assert!(why.contains("failed to connect to remote host: 127.0.0.1: "), "{why}");
}

#[test]
fn a_client_that_goes_does_not_wait_for_a_server_that_stalls() {
    let (sshd, _) = ready("");
    let mut server = Server::start(but(beside(&sshd, "disk.img"), "", &["timeout=2"]));
    let mut client = server.connect();
    client.structured("");
    sshd.signal_sessions(Signal::SIGSTOP);
    ask(&mut client);
    server.signal(Signal::SIGTERM);
    server.wait();
    sshd.signal_sessions(Signal::SIGCONT);
}

#[test]
fn subsystems_that_speak_no_sftp() {
    let nonsense = random(3, 4096);
    let file = tempfile::NamedTempFile::new().unwrap();
    let cat = format!("Subsystem sftp cat {}", file.path().display());
    let no_version = [0, 0, 0, 5, 2, 0, 0, 0, 9];
    let long = [0xff; 64];
    for bytes in [&b""[..], &nonsense, &no_version, &long, b"Welcome to the machine!\n"] {
        fs::write(file.path(), bytes).unwrap();
        let (sshd, _) = ready(&cat);
        let why = refuses(&Server::start(but(beside(&sshd, "disk.img"), "", &["timeout=5"])));
        assert!(why.contains("failed to start SFTP"), "{why}");
    }
    // Says nothing, and ends with the session.
    let (sshd, _) = ready("Subsystem sftp cat >/dev/null");
    let why = refuses(&Server::start(but(beside(&sshd, "disk.img"), "", &["timeout=500ms"])));
    assert!(why.contains("failed to start SFTP"), "{why}");
}
