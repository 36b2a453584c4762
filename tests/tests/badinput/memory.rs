// SPDX-License-Identifier: BSD-3-Clause
//! What a client can make the server keep in memory has a limit.

use nbdkit_tests::raw::{Client, cmd, opt, option_head};
use nbdkit_tests::{Feature, Server, supports};

use crate::{full_of_data, victim};

const MIB: u64 = 1 << 20;
const PAYLOAD: u32 = 64 << 20;

/// How much more memory than before `attack` was ever resident.
fn growth(server: &Server, attack: impl FnOnce()) -> u64 {
    let process = server.process();
    process.forget_peak();
    let before = process.resident();
    attack();
    process.peak().saturating_sub(before)
}

/// 500 clients together, each with an option of 64 MiB, of which `each` bytes are sent.
fn huge_options(server: &Server, each: u64) {
    let codes = [opt::EXPORT_NAME, opt::LIST, opt::GO, opt::SET_META_CONTEXT, opt::LIST_META_CONTEXT, 255];
    let mut crowd: Vec<Client> = Vec::new();
    for i in 0..500 {
        let mut client = server.connect();
        client.hello().unwrap();
        client.send(&option_head(codes[i % codes.len()], PAYLOAD)).unwrap();
        crowd.push(client);
    }
    // In turns, so that all of them are in the midst of it at the same time. Who is refused is out.
    for _ in 0..each / MIB {
        crowd.retain_mut(|client| client.send_zeroes(MIB).is_ok());
    }
    server.assert_serves();
}

#[test]
fn five_hundred_clients_with_huge_options() {
    if !supports(Feature::BoundedMemory) {
        return;
    }
    let server = victim();
    server.assert_serves();
    let growth = growth(&server, || huge_options(&server, 2 * MIB));
    assert!(growth < 16 * MIB, "500 options of 64 MiB in the making add {growth} bytes");
    server.assert_serves();
}

#[test]
#[ignore = "long: up to 32 GB through sockets"]
fn five_hundred_clients_with_huge_options_to_the_last_byte() {
    if !supports(Feature::BoundedMemory) {
        return;
    }
    let server = victim();
    server.assert_serves();
    let growth = growth(&server, || huge_options(&server, 64 * MIB));
    assert!(growth < 16 * MIB, "500 options of 64 MiB add {growth} bytes");
}

#[test]
fn a_reader_that_never_empties_its_socket() {
    if !supports(Feature::SurvivesHangUp) {
        return;
    }
    let server = full_of_data();
    let growth = growth(&server, || {
        let mut stuck = server.connect();
        stuck.structured("");
        // 500 requests of 32 MiB each, no reply ever read.
        for _ in 0..500 {
            let request = nbdkit_tests::raw::simple(0, cmd::READ, 1, 0, 32 << 20);
            if stuck.send_some(&request).is_ok_and(|n| n < request.len()) {
                break;
            }
        }
        // Others are served all the while, with large requests too.
        for _ in 0..20 {
            let mut client = server.connect();
            client.structured("");
            client.read(0, 4 << 20).unwrap();
            client.disconnect();
        }
        drop(stuck);
    });
    if supports(Feature::BoundedMemory) {
        // One largest request and 32 MiB a connection, and as much for the good client.
        assert!(growth < (64 + 32 + 4 + 32) * MIB, "a stuck reader adds {growth} bytes");
    }
    server.assert_serves();
}

#[test]
fn twenty_readers_that_never_empty_their_sockets() {
    if !supports(Feature::SurvivesHangUp) {
        return;
    }
    let server = full_of_data();
    let growth = growth(&server, || {
        let mut crowd = Vec::new();
        for _ in 0..20 {
            let mut stuck = server.connect();
            stuck.structured("");
            for _ in 0..100 {
                let _ = stuck.send_some(&nbdkit_tests::raw::simple(0, cmd::READ, 1, 0, 1 << 20));
            }
            crowd.push(stuck);
        }
        for _ in 0..20 {
            server.assert_serves();
        }
    });
    if supports(Feature::BoundedMemory) {
        assert!(growth < 20 * (32 + 1) * MIB, "20 stuck readers add {growth} bytes");
    }
    server.assert_serves();
}

#[test]
fn writers_that_stop_in_the_midst() {
    // A write of 64 MiB is announced and not sent: memory may wait for it, but not grow with their number.
    let server = victim();
    server.assert_serves();
    let mut crowd = Vec::new();
    let growth = growth(&server, || {
        for _ in 0..100 {
            let mut client = server.connect();
            client.structured("");
            client.request(cmd::WRITE, 0, 0, 64 << 20).unwrap();
            client.send_zeroes(65536).unwrap();
            crowd.push(client);
        }
        server.assert_serves();
    });
    if supports(Feature::BoundedMemory) {
        // Untouched pages are not resident: only what was sent counts, and some buffers.
        assert!(growth < 100 * MIB, "100 writes that were not sent add {growth} bytes");
    }
    drop(crowd);
    server.assert_serves();
}
