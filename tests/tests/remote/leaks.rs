// SPDX-License-Identifier: BSD-3-Clause
//! Disks that are opened and closed many times leave nothing behind: no descriptors, no threads, no memory.

use std::fs;

use nbdkit_tests::{
    Server,
    data::random,
    raw::{Client, cmd},
    until,
};

use crate::{curl::nginx::Nginx, ssh};

const SIZE: usize = 1 << 20;

/// Until nothing is allocated for the first time any more.
const WARM: usize = 16;
/// How much resident memory may grow, in bytes: the allocator's own ups and downs.
const SLACK: u64 = 4 << 20;
/// Threads that wait for work that sleeps: they stay, and there are as many as had work at once.
const POOL: u64 = 8;

#[derive(Clone, Copy)]
enum Way {
    /// Reads, and says goodbye.
    Polite,
    /// Asks, and is gone.
    Rude,
    /// Cannot open the disk.
    Refused,
}

fn visit(server: &Server, way: Way) {
    let mut client: Client = server.connect();
    match way {
        Way::Polite => {
            client.structured("");
            client.read(0, 512).unwrap();
            client.read(4096, 128 << 10).unwrap();
            client.disconnect();
        }
        Way::Rude => {
            client.structured("");
            for i in 0..16 {
                client.request(cmd::READ, 0, i << 15, 1 << 15).unwrap();
            }
            client.reset();
        }
        Way::Refused => {
            client.hello().unwrap();
            assert!(client.go(b"").unwrap().is_err());
        }
    }
}

/// After `rounds` visits of each of `ways` all is as it was before.
#[track_caller]
fn leaves_nothing(server: &Server, ways: &[Way], rounds: usize) {
    let visits = |rounds| (0..rounds).for_each(|_| ways.iter().for_each(|way| visit(server, *way)));
    let process = server.process();
    visits(WARM);
    let (descriptors, threads, memory) = (process.descriptors(), process.threads(), process.resident());
    visits(rounds);
    until("descriptors are closed", || process.descriptors() <= descriptors);
    until("threads have ended", || process.threads() <= threads + POOL);
    let now = process.resident();
    assert!(now <= memory + SLACK, "{memory} bytes before, {now} after {rounds} rounds");
}

const BOTH: [Way; 2] = [Way::Polite, Way::Rude];

#[test]
fn of_curl() {
    let nginx = Nginx::start("");
    leaves_nothing(&Server::start(["-r", "curl", &nginx.http("/disk.img")]), &BOTH, 300);
    leaves_nothing(&Server::start(["-r", "curl", &nginx.http("/missing")]), &[Way::Refused], 300);
    let url = nginx.https("/disk.img");
    leaves_nothing(&Server::start(["-r", "curl", &url, &nginx.cainfo()]), &BOTH, 300);
    // Nobody is trusted: it ends within the handshake.
    leaves_nothing(&Server::start(["-r", "curl", &url, "cainfo="]), &[Way::Refused], 300);
}

#[test]
fn of_ssh() {
    let sshd = ssh::sshd::Sshd::start();
    fs::write(sshd.path("disk.img"), random(1, SIZE)).unwrap();
    leaves_nothing(&Server::start(ssh::beside(&sshd, "disk.img")), &BOTH, 60);
    leaves_nothing(&Server::start(ssh::beside(&sshd, "missing")), &[Way::Refused], 60);
    let stranger = ssh::but(ssh::beside(&sshd, "disk.img"), "", &["user=nobody-of-that-name"]);
    leaves_nothing(&Server::start(stranger), &[Way::Refused], 30);
    until("nobody is logged in", || sshd.clients() == 0);
}

#[test]
fn of_nbd() {
    let source = Server::start(["memory", "1M"]);
    let before = source.process().descriptors();
    let socket = format!("socket={}", source.socket().display());
    leaves_nothing(&Server::start(["nbd", &socket]), &BOTH, 300);
    leaves_nothing(&Server::start(["nbd", &socket, "shared=true"]), &BOTH, 300);
    leaves_nothing(&Server::start(["nbd", &socket, "tls=require", "tls-verify=false"]), &[Way::Refused], 300);
    leaves_nothing(&Server::start(["nbd", "socket=/nowhere"]), &[Way::Refused], 300);
    until("the source has no clients", || source.process().descriptors() <= before);
}
