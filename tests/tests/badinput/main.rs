// SPDX-License-Identifier: BSD-3-Clause
//! Everything a client must not do. Whatever it is, nothing panics, and the next client is served.
//!
//! The bytes are written by hand, see [`nbdkit_tests::raw`]. Each case ends with a look at the server:
//! it runs, serves a good client, and its standard error tells of no panic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crowds;
mod floods;
mod greeting;
mod lies;
mod memory;
mod messages;
mod moving_file;
mod names;
mod options;
mod requests;
mod resets;

use nbdkit_tests::{Launch, Server, data::random};

const SIZE: u64 = 64 << 20;

/// A server with 64 MiB of memory, the victim of most cases.
fn victim() -> Server {
    Server::start(["memory", "64M"])
}

/// The same on TCP, where a client can vanish with a reset.
fn victim_on_tcp() -> Server {
    Launch::new(["memory", "64M"]).tcp().start()
}

/// A server whose whole disk is data, so that reads are not answered by holes.
fn full_of_data() -> Server {
    let server = victim();
    let mut client = server.connect();
    client.structured("");
    for i in 0..4 {
        client.write(i << 24, &random(i, 1 << 24), 0).unwrap();
    }
    client.disconnect();
    server
}
