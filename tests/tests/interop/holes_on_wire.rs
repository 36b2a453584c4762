// SPDX-License-Identifier: BSD-3-Clause
//! Holes travel as holes: a gigabyte of nothing costs next to nothing on the wire.

use nbdkit_tests::data::{assert_bytes, random};
use nbdkit_tests::files::{scratch, sparse};
use nbdkit_tests::raw::Client;
use nbdkit_tests::{Feature, Server, supports};

const REQUEST: u32 = 32 << 20;
const MIB: u64 = 1 << 20;

/// Reads the first GiB in requests of 32 MiB; all of it must be zero.
fn read_a_gigabyte_of_nothing(client: &mut Client) -> u64 {
    let before = client.received;
    for i in 0..32 {
        let bytes = client.read(i * u64::from(REQUEST), REQUEST).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0), "request {i} is not zero");
    }
    client.received - before
}

#[test]
fn a_gigabyte_of_holes_moves_under_a_megabyte() {
    if !supports(Feature::HolesOnWire) {
        return;
    }
    let dir = scratch();
    let image = dir.path().join("image");
    sparse(&image, 1 << 30, &[]);
    let memory = Server::start(["memory", "1G"]);
    let file = Server::start(["file".as_ref(), image.as_os_str()]);
    for (what, server) in [("memory", &memory), ("file", &file)] {
        let mut client = server.connect();
        client.structured("");
        let moved = read_a_gigabyte_of_nothing(&mut client);
        assert!(moved < MIB, "{what}, structured: {moved} bytes on the wire");
        let mut client = server.connect();
        client.extended("");
        let moved = read_a_gigabyte_of_nothing(&mut client);
        assert!(moved < MIB, "{what}, extended: {moved} bytes on the wire");
    }
}

#[test]
fn data_between_holes_arrives_in_its_place() {
    let dir = scratch();
    let image = dir.path().join("image");
    let pieces: Vec<(u64, Vec<u8>)> = [0, 3 * MIB + 4096, 9 * MIB, 31 * MIB + 65536]
        .into_iter()
        .map(|at| (at, random(at, 70_001)))
        .collect();
    let slices: Vec<(u64, &[u8])> = pieces.iter().map(|(at, bytes)| (*at, bytes.as_slice())).collect();
    sparse(&image, 64 * MIB, &slices);
    let mut expected = vec![0; REQUEST as usize];
    for (at, bytes) in &pieces {
        expected[*at as usize..][..bytes.len()].copy_from_slice(bytes);
    }
    let server = Server::start(["file".as_ref(), image.as_os_str()]);
    let mut client = server.connect();
    client.structured("");
    assert_bytes("structured", &client.read(0, REQUEST).unwrap(), &expected);
    assert_bytes("structured, odd", &client.read(17, 10_000_001).unwrap(), &expected[17..][..10_000_001]);
    let mut client = server.connect();
    client.simple("");
    assert_bytes("simple", &client.read(0, REQUEST).unwrap(), &expected);
    if supports(Feature::ExtendedHeaders) {
        let mut client = server.connect();
        client.extended("");
        assert_bytes("extended", &client.read(0, REQUEST).unwrap(), &expected);
    }
}
