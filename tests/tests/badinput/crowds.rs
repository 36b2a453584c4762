// SPDX-License-Identifier: BSD-3-Clause
//! Many clients that want nothing.

use nbdkit_tests::{Feature, Server, supports, until};

use crate::{victim, victim_on_tcp};

/// Waits until the server holds no more sockets than before the crowd.
#[track_caller]
fn until_all_is_closed(server: &Server, before: usize) {
    until("the server closes what the clients have left", || server.process().sockets() <= before);
}

#[test]
fn a_thousand_port_scans() {
    for server in [victim(), victim_on_tcp()] {
        let before = server.process().sockets();
        for i in 0..1000 {
            let mut client = server.connect();
            match i % 4 {
                0 => drop(client),
                1 => client.reset(),
                2 => {
                    let _ = client.send(b"\r\n\r\n");
                }
                _ => {
                    let _ = client.recv(18);
                }
            }
        }
        server.assert_serves();
        until_all_is_closed(&server, before);
    }
}

#[test]
fn five_hundred_idle_connections() {
    let server = victim();
    let before = server.process().sockets();
    server.assert_serves();
    let threads = server.process().threads();
    let mut crowd = Vec::new();
    for i in 0..500 {
        let mut client = server.connect();
        match i % 3 {
            0 => {}
            1 => client.hello().unwrap(),
            _ => {
                client.structured("");
            }
        }
        crowd.push(client);
    }
    server.assert_serves();
    until("all of the crowd are let in", || server.process().sockets() >= before + 500);
    if supports(Feature::FewThreads) {
        let more = server.process().threads().saturating_sub(threads);
        assert!(more < 32, "500 idle connections cost {more} threads");
    }
    // All of them can still be used.
    for client in crowd.iter_mut().skip(2).step_by(3) {
        assert_eq!(client.read(0, 16).unwrap(), [0; 16]);
    }
    drop(crowd);
    until_all_is_closed(&server, before);
    server.assert_serves();
}

#[test]
#[ignore = "long: five thousand connections, one after the other, each with a request"]
fn five_thousand_lives() {
    let server = victim_on_tcp();
    let before = server.process().sockets();
    for _ in 0..5000 {
        server.assert_serves();
    }
    until_all_is_closed(&server, before);
}
