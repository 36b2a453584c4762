// SPDX-License-Identifier: BSD-3-Clause
//! A signal ends the server in order: what has begun is answered, nobody idle can hold it up.

use nbdkit_tests::process::Process;
use nbdkit_tests::raw::{Client, cmd, err};
use nbdkit_tests::{Feature, Server, nbdkit, supports, until};
use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

const ALL: [Signal; 4] = [SIGTERM, SIGINT, SIGQUIT, SIGHUP];

/// A connection whose slow read has begun: the server took up a write which was sent after it.
fn with_a_slow_read(server: &Server) -> (Client, u64) {
    let mut client = server.connect();
    client.structured("");
    let slow = client.request(cmd::READ, 0, 0, 512).unwrap();
    client.write(4096, &[1; 512], 0).unwrap();
    (client, slow)
}

#[test]
fn every_ending_signal_ends_with_status_0() {
    for signal in ALL {
        let mut server = Server::start(["memory", "1M"]);
        server.assert_serves();
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_request_in_flight_is_answered() {
    for signal in ALL {
        let mut server = Server::start(["--filter=delay", "memory", "1M", "rdelay=1"]);
        let (mut client, slow) = with_a_slow_read(&server);
        server.signal(signal);
        // The delay may be cut short, but not without a word.
        match client.read_reply(slow, 0, 512) {
            Ok(bytes) => assert_eq!(bytes, [0; 512]),
            Err(error) => assert_eq!(error, err::ESHUTDOWN, "{signal}"),
        }
        drop(client);
        assert_eq!(server.wait().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_write_in_flight_is_done_and_answered() {
    let dir = nbdkit_tests::files::scratch();
    let path = dir.path().join("disk");
    std::fs::File::create(&path).unwrap().set_len(1 << 20).unwrap();
    let mut server = Server::start(["--filter=delay", "file", path.to_str().unwrap(), "wdelay=1"]);
    let mut client = server.connect();
    client.structured("");
    let slow = client.request(cmd::WRITE, 0, 0, 512).unwrap();
    client.send(&[7; 512]).unwrap();
    // A read is not delayed: once it is answered the write has begun.
    client.read(4096, 512).unwrap();
    server.signal(SIGTERM);
    let result = client.done(slow);
    drop(client);
    server.wait();
    let written = nbdkit_tests::files::read_at(&path, 0, 512);
    match result {
        Ok(()) => assert_eq!(written, [7; 512], "the reply promised what was not done"),
        Err(error) => assert_eq!((error, written), (err::ESHUTDOWN, vec![0; 512])),
    }
}

#[test]
fn idle_clients_cannot_hold_up_the_end() {
    if !supports(Feature::QuitsWithIdleClients) {
        return;
    }
    for signal in ALL {
        let mut server = Server::start(["memory", "1M"]);
        let silent = server.connect();
        let mut greeted = server.connect();
        greeted.hello().unwrap();
        let mut ready = server.connect();
        ready.structured("");
        let mut half = server.connect();
        half.structured("");
        // Half a request.
        half.send(&[0x25, 0x60]).unwrap();
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal}");
        for mut client in [silent, greeted, ready, half] {
            client.assert_closed("after the end of the server");
        }
    }
}

#[test]
fn a_second_signal_ends_a_stuck_request() {
    if !supports(Feature::QuitsWithIdleClients) {
        return;
    }
    let mut server = Server::start(["--filter=delay", "memory", "1M", "rdelay=100000"]);
    let (_client, _slow) = with_a_slow_read(&server);
    server.signal(SIGTERM);
    // Two signals at once are one: the first has been seen when nobody new is served.
    let address = server.address().clone();
    until("new clients are turned away", || match Client::connect(&address) {
        Ok(mut client) => client.recv(18).is_err(),
        Err(_) => true,
    });
    if !server.process().gone() {
        server.signal(SIGTERM);
    }
    server.wait();
}

#[test]
fn a_signal_at_the_start_is_not_lost() {
    // As soon as the process is there, at whatever point of its start the signal hits.
    for _ in 0..30 {
        let dir = tempfile::tempdir().unwrap();
        let mut child =
            nbdkit().args(["-f", "-U"]).arg(dir.path().join("s")).args(["memory", "1M"]).spawn().unwrap();
        Process(child.id().cast_signed()).signal(SIGTERM);
        assert!(nbdkit_tests::eventually(|| child.try_wait().unwrap()).is_some(), "it never ends");
    }
}

#[test]
fn a_broken_pipe_is_no_end() {
    if !supports(Feature::SurvivesHangUp) {
        return;
    }
    let server = Server::start(["memory", "64M"]);
    for _ in 0..20 {
        let mut client = server.connect();
        client.structured("");
        for i in 0..16 {
            client.request(cmd::READ, 0, i << 20, 1 << 20).unwrap();
        }
        // Gone with 16 MiB on the way.
        drop(client);
    }
    server.assert_serves();
}

#[test]
fn the_server_ends_with_its_parent() {
    ends_with_its_parent(&[]);
    // Becoming another user must not make it forget.
    if nix::unistd::geteuid().is_root() {
        ends_with_its_parent(&["-u", "nobody"]);
    }
}

fn ends_with_its_parent(options: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
    let (socket, pidfile) = (dir.path().join("s"), dir.path().join("pid"));
    let program = nbdkit();
    // The shell leaves as soon as the server runs, which must notice.
    let script = r#""$@" & while ! test -s "$0"; do sleep 0.01; done"#;
    let mut command = nbdkit_tests::tool("sh");
    command.args(["-c", script]).arg(&pidfile).arg(program.get_program()).args(options);
    command.arg("--exit-with-parent").arg("-U").arg(&socket).arg("-P").arg(&pidfile).args(["memory", "1M"]);
    nbdkit_tests::run(&mut command).ok();
    let process = Process(std::fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap());
    until("the server ends with its parent", || process.gone());
}
