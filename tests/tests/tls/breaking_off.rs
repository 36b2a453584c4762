// SPDX-License-Identifier: BSD-3-Clause
//! Clients that break off, stall or vanish, at every point of the handshake: they lose their connection, and leave nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::AsFd;
use std::thread;

use nbdkit_tests::raw::{Client, is_closed};
use nbdkit_tests::{Launch, Server, run, tool, until};

use crate::client::{Tls, agreed, connector};
use crate::credentials::Folder;

/// How far a client gets.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Point {
    /// TLS is agreed on.
    Nothing,
    HalfHello,
    /// The server's answer is left unread.
    Hello,
    /// Of the server's answer one byte was read.
    Answered,
    HalfFinish,
    /// All done; nothing is said in TLS.
    Finish,
}

const POINTS: [Point; 6] =
    [Point::Nothing, Point::HalfHello, Point::Hello, Point::Answered, Point::HalfFinish, Point::Finish];
const VERSIONS: [&str; 2] = ["TLS1.2", "TLS1.3"];

/// A client that has got so far.
fn client(server: &Server, folder: &Folder, version: &str, point: Point) -> Tls {
    let mut tls = Tls::over(agreed(server), &connector(folder, version));
    let half = |tls: &mut Tls| {
        let output = tls.engine.output();
        tls.socket.write_all(&output[..output.len() / 2]).unwrap();
    };
    match point {
        Point::Nothing => {}
        Point::HalfHello => half(&mut tls),
        Point::Hello | Point::Answered => {
            tls.speak().unwrap();
            if point == Point::Answered {
                tls.socket.read_exact(&mut [0]).unwrap();
            }
        }
        Point::HalfFinish => {
            tls.speak().unwrap();
            while tls.engine.output().is_empty() {
                tls.listen().unwrap();
            }
            half(&mut tls);
        }
        Point::Finish => tls.handshake().unwrap(),
    }
    tls
}

fn serve(folder: &Folder, more: &[&str]) -> Server {
    let mut args = vec!["--tls=require".to_owned(), folder.option()];
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args.extend(["memory".to_owned(), "1M".to_owned()]);
    Launch::new(args).tcp().start()
}

/// A good client is served.
fn assert_serves(server: &Server, folder: &Folder) {
    let mut tls = Tls::connect(server, folder);
    assert_eq!(tls.ask(nbdkit_tests::raw::opt::LIST, &[]).0, nbdkit_tests::raw::ACK);
    tls.goodbye();
}

#[test]
fn at_every_point_in_every_way() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &[]);
    let sockets = server.process().sockets();
    for version in VERSIONS {
        for point in POINTS {
            // In order, with a reset, and with a half that goes on listening.
            drop(client(&server, &folder, version, point));

            let tls = client(&server, &folder, version, point);
            Client::over(tls.socket.as_fd().try_clone_to_owned().unwrap()).unwrap().reset();
            drop(tls);

            let mut tls = client(&server, &folder, version, point);
            tls.cut();
            let mut rest = Vec::new();
            if let Err(error) = tls.socket.read_to_end(&mut rest) {
                assert!(is_closed(&error), "{version} {point:?}: the server keeps the connection ({error})");
            }
            until("nothing is left", || server.process().sockets() == sockets);
        }
    }
    assert_serves(&server, &folder);
}

#[test]
fn a_thousand_of_them_leave_nothing() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &[]);
    let process = server.process();
    let some = |count: usize| {
        for i in 0..count {
            drop(client(&server, &folder, VERSIONS[i % 2], POINTS[i / 2 % POINTS.len()]));
        }
    };
    // What is there once: threads, what they wait with, buffers of the allocator.
    let sockets = process.sockets();
    some(200);
    until("sockets are closed", || process.sockets() == sockets);
    let descriptors = process.descriptors();
    let before = process.resident();
    some(1000);
    until("descriptors are closed", || process.descriptors() == descriptors);
    let grown = process.resident().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more");
    assert_serves(&server, &folder);
}

/// The first message of a client of OpenSSL that knows the key. It proves that each time it is sent.
fn hello_with_key(version: &str, key: &str) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut command = tool("openssl");
    command.args(["s_client", version, "-connect", &format!("127.0.0.1:{port}"), "-psk_identity", "alice"]);
    command.args(["-psk", key, "-ciphersuites", "TLS_AES_128_GCM_SHA256"]);
    let client = thread::spawn(move || run(&mut command));
    let mut peer = listener.accept().unwrap().0;
    let mut hello = vec![0; 5];
    peer.read_exact(&mut hello).unwrap();
    hello.resize(5 + usize::from(u16::from_be_bytes([hello[3], hello[4]])), 0);
    peer.read_exact(&mut hello[5..]).unwrap();
    drop(peer);
    client.join().unwrap().fails();
    hello
}

#[test]
fn a_thousand_of_them_with_pre_shared_keys_leave_nothing() {
    let (folder, _) = Folder::complete();
    let key = "00112233445566778899aabbccddeeff";
    let psk = format!("--tls-psk={}", folder.put("keys.psk", &format!("alice:{key}\n"), 0o600).display());
    let server = Server::start(["--tls=require", &psk, "memory", "1M"]);
    let process = server.process();
    let hellos = ["-tls1_2", "-tls1_3"].map(|version| hello_with_key(version, key));
    let some = |count: usize| {
        for i in 0..count {
            let mut socket = agreed(&server).into_socket();
            let hello = &hellos[i % 2];
            let len = [0, hello.len() / 2, hello.len(), hello.len()][i / 2 % 4];
            socket.write_all(&hello[..len]).unwrap();
            if i / 2 % 4 == 3 {
                // It goes on: handshake, server hello (RFC 8446, section 4).
                let mut answer = [0; 6];
                socket.read_exact(&mut answer).unwrap();
                assert_eq!((answer[0], answer[5]), (22, 2));
            }
        }
    };
    let sockets = process.sockets();
    some(200);
    until("sockets are closed", || process.sockets() == sockets);
    let (descriptors, before) = (process.descriptors(), process.resident());
    some(1000);
    until("descriptors are closed", || process.descriptors() == descriptors);
    let grown = process.resident().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more");
}

#[test]
fn who_stalls_is_cut_off_by_timeout() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &["--timeout=500ms"]);
    let sockets = server.process().sockets();
    for version in VERSIONS {
        // All at once: one after the other they would take their time.
        let clients: Vec<Tls> =
            POINTS.iter().map(|point| client(&server, &folder, version, *point)).collect();
        for mut tls in clients {
            let mut rest = Vec::new();
            if let Err(error) = tls.socket.read_to_end(&mut rest) {
                assert!(is_closed(&error), "the server keeps the connection ({error})");
            }
        }
    }
    until("nothing is left", || server.process().sockets() == sockets);
    let stderr = server.stderr();
    let lines = stderr.matches("client took too long for the handshake (--timeout)").count();
    assert_eq!(lines, 2 * POINTS.len(), "{stderr}");
    assert_serves(&server, &folder);
}

#[test]
fn a_server_that_is_told_to_end_does_not_wait_for_a_handshake() {
    let (folder, _) = Folder::complete();
    let mut server = serve(&folder, &[]);
    let clients: Vec<Tls> = POINTS.iter().map(|point| client(&server, &folder, "TLS1.3", *point)).collect();
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    drop(clients);
}

#[test]
fn in_the_handshake_one_byte_at_a_time_is_enough() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &[]);
    for version in VERSIONS {
        let mut tls = Tls::over(agreed(&server), &connector(&folder, version));
        while tls.engine.is_handshaking() {
            for byte in tls.engine.output().to_vec() {
                tls.socket.write_all(&[byte]).unwrap();
            }
            tls.engine.sent(tls.engine.output().len());
            if tls.engine.is_handshaking() {
                tls.listen().unwrap();
            }
        }
        tls.speak().unwrap();
        assert_eq!(tls.ask(nbdkit_tests::raw::opt::LIST, &[]).0, nbdkit_tests::raw::ACK);
        tls.socket.shutdown(Shutdown::Both).unwrap();
    }
}
