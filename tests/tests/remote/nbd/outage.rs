// SPDX-License-Identifier: BSD-3-Clause
//! The server goes, in the middle of requests, and comes back; or comes late.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nbdkit_tests::data::assert_bytes;
use nbdkit_tests::raw::{self, Client, cmd, err};
use nbdkit_tests::{HANG, Launch, Server, run, tool, until};
use nix::sys::signal::Signal;

/// Begins sixteen reads and returns when `most` of them are at the server.
fn sixteen_in_flight(client: &mut Client, server: &Server, most: usize) {
    for n in 0..16 {
        client.request(cmd::READ, 0, n * 512, 512).unwrap();
    }
    until("the requests are at the server", || server.stderr().matches(" Read ").count() >= most);
}

/// A server that takes its time for every read.
fn slow() -> Launch {
    let log = ["--filter=log", "--filter=delay", "memory", "1M", "rdelay=1000", "logfile=/dev/stderr"];
    Launch::new(log)
}

#[test]
fn what_is_in_flight_fails_and_new_clients_get_new_connections() {
    let mut server = slow().start();
    let proxy = Server::start(["nbd", &server.uri()]);
    let mut client = proxy.connect();
    client.structured("");
    sixteen_in_flight(&mut client, &server, 16);
    server.kill();
    for _ in 0..16 {
        let error = client.reply().unwrap().error();
        assert_eq!(error, Some(err::ESHUTDOWN));
    }
    assert_eq!(client.read(0, 512), Err(err::ESHUTDOWN), "at once");
    assert!(proxy.stderr().contains("server closed the connection"), "{}", proxy.stderr());
    // It is not there for others either, until another takes its place.
    run(tool("nbdinfo").arg(proxy.uri())).fails();
    fs::remove_file(server.socket()).unwrap();
    let again = Server::start(["memory", "1M"]);
    fs::rename(again.socket(), server.socket()).unwrap();
    assert_eq!(run(tool("nbdinfo").arg("--size").arg(proxy.uri())).ok().text(), "1048576");
    assert_eq!(client.read(0, 512), Err(err::ESHUTDOWN), "the old connection stays closed");
}

#[test]
fn the_retry_filter_hides_it() {
    let mut server = slow().start();
    let args =
        ["--filter=retry", "nbd", &server.uri(), "retry-delay=1", "retry-exponential=no", "retries=30"];
    let proxy = Server::start(args);
    let mut client = proxy.connect();
    client.structured("");
    // The filter lets one request at a time through.
    sixteen_in_flight(&mut client, &server, 1);
    server.kill();
    fs::remove_file(server.socket()).unwrap();
    let again = Server::start(["memory", "1M"]);
    fs::rename(again.socket(), server.socket()).unwrap();
    for _ in 0..16 {
        let reply = client.reply().unwrap();
        assert_eq!(reply.error(), None, "{reply:?}\n{}", proxy.stderr());
    }
}

/// Sixteen writes, each over the one before, of which the server has begun one when it dies.
fn writes_keep_their_order(away: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    fs::write(&image, vec![0xff; 64 << 10]).unwrap();
    let file = image.to_str().unwrap();
    let slow = ["--filter=log", "--filter=delay", "file", file, "wdelay=1000", "logfile=/dev/stderr"];
    let mut server = Server::start(slow);
    let args =
        ["--filter=retry", "nbd", &server.uri(), "retry-delay=1", "retry-exponential=no", "retries=40"];
    let proxy = Server::start(args);
    let mut client = proxy.connect();
    client.structured("");
    for i in 0..16 {
        let mut request = raw::simple(0, cmd::WRITE, 1000 + i, i * 1000, 4000);
        request.extend_from_slice(&[i as u8; 4000]);
        client.send(&request).unwrap();
    }
    until("a write is at the server", || server.stderr().contains(" Write "));
    server.kill();
    fs::remove_file(server.socket()).unwrap();
    // Nothing to wait for: the point is that nothing happens.
    thread::sleep(away);
    let again = Server::start(["file", file]);
    fs::rename(again.socket(), server.socket()).unwrap();
    for _ in 0..16 {
        let reply = client.reply().unwrap();
        assert_eq!(reply.error(), None, "{reply:?}\n{}", proxy.stderr());
    }
    client.call(cmd::FLUSH, 0, 0, 0).unwrap();
    let mut expected = vec![0xff; 64 << 10];
    for i in 0..16 {
        expected[i * 1000..i * 1000 + 4000].fill(i as u8);
    }
    assert_bytes("the file", &fs::read(&image).unwrap(), &expected);
}

#[test]
fn writes_keep_their_order_through_an_outage() {
    writes_keep_their_order(Duration::from_secs(1));
}

#[test]
#[ignore = "long: an outage of ten seconds"]
fn writes_keep_their_order_through_a_long_outage() {
    writes_keep_their_order(Duration::from_secs(10));
}

#[test]
fn a_server_that_is_late_is_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let late = |socket: &Path| {
        let socket = socket.to_owned();
        thread::spawn(move || {
            // The first attempt fails, of which there is no other sign than that the second is a second later.
            thread::sleep(Duration::from_millis(300));
            let server = Server::start(["memory", "1M"]);
            fs::rename(server.socket(), &socket).unwrap();
            until("somebody comes", || server.process().sockets() > 1);
            server
        })
    };
    let parameter = format!("socket={}", socket.display());
    let coming = late(&socket);
    let proxy = Server::start(["nbd", &parameter, "retry=60", "shared=true"]);
    let _server = coming.join().unwrap();
    assert_eq!(run(tool("nbdinfo").arg("--size").arg(proxy.uri())).ok().text(), "1048576");
}

/// The server accepts and says nothing: a client that waits for it can be sent away, and so can the proxy.
#[test]
fn a_server_that_is_silent_does_not_keep_the_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let silent = UnixListener::bind(&socket).unwrap();
    let mut proxy = Server::start(["nbd", &format!("socket={}", socket.display())]);
    let mut client = proxy.connect();
    client.hello().unwrap();
    client.send(&raw::option(raw::opt::GO, &raw::go_payload(b""))).unwrap();
    let _connection = silent.accept().unwrap();
    let began = std::time::Instant::now();
    proxy.signal(Signal::SIGTERM);
    proxy.wait();
    assert!(began.elapsed() < HANG);
}
