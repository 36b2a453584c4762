// SPDX-License-Identifier: BSD-3-Clause
//! A client that vanishes after every single byte.

use nbdkit_tests::raw::{BOTH_FLAGS, Client, cmd, flag, go_payload, meta_payload, opt, option, simple};

use nbdkit_tests::{Feature, Server, supports};

use crate::{full_of_data, victim, victim_on_tcp};

/// Everything a client says in a whole life: handshake, each kind of request, goodbye.
fn a_life() -> Vec<u8> {
    let mut bytes = BOTH_FLAGS.to_be_bytes().to_vec();
    bytes.extend(option(opt::STRUCTURED_REPLY, &[]));
    bytes.extend(option(opt::SET_META_CONTEXT, &meta_payload(b"", b"base:allocation")));
    bytes.extend(option(opt::GO, &go_payload(b"")));
    bytes.extend(simple(0, cmd::READ, 1, 0, 4096));
    bytes.extend(simple(flag::FUA, cmd::WRITE, 2, 8192, 16));
    bytes.extend([0xaa; 16]);
    bytes.extend(simple(0, cmd::BLOCK_STATUS, 3, 0, 65536));
    bytes.extend(simple(0, cmd::WRITE_ZEROES, 4, 8192, 16));
    bytes.extend(simple(0, cmd::DISC, 5, 0, 0));
    bytes
}

fn vanish_at_every_byte(server: &Server, vanish: impl Fn(Client)) {
    let life = a_life();
    for end in 0..=life.len() {
        let mut client = server.connect();
        // Fails when the server closes first, after the goodbye.
        let _ = client.send(&life[..end]);
        vanish(client);
        if end % 16 == 0 {
            server.assert_serves();
        }
    }
    server.assert_serves();
}

#[test]
fn gone_after_every_byte_unread() {
    if !supports(Feature::SurvivesHangUp) {
        return;
    }
    vanish_at_every_byte(&victim(), drop);
    vanish_at_every_byte(&victim_on_tcp(), drop);
}

#[test]
fn reset_after_every_byte() {
    if !supports(Feature::SurvivesHangUp) {
        return;
    }
    vanish_at_every_byte(&victim_on_tcp(), Client::reset);
}

#[test]
fn gone_after_every_byte_but_reading_to_the_end() {
    if !supports(Feature::SurvivesHangUp) {
        return;
    }
    vanish_at_every_byte(&victim(), |mut client| {
        client.finish_sending();
        client.assert_closed("no more bytes will come");
    });
}

#[test]
fn byte_by_byte_is_as_good_as_at_once() {
    let answer = |send: fn(&mut Client)| {
        let server = victim_on_tcp();
        let mut client = server.connect();
        send(&mut client);
        client.finish_sending();
        let answer = client.drain().unwrap();
        server.assert_serves();
        answer
    };
    let at_once = answer(|client| client.send(&a_life()).unwrap());
    let slowly = answer(|client| a_life().into_iter().for_each(|byte| client.send(&[byte]).unwrap()));
    assert_eq!(slowly, at_once, "bytes of answer");
}

#[test]
fn gone_in_the_midst_of_a_large_read_or_write() {
    if !supports(Feature::SurvivesHangUp) {
        return;
    }
    let server = full_of_data();
    for len in [1, 4096, 100_000, 1 << 20] {
        let mut client = server.connect();
        client.structured("");
        client.request(cmd::READ, 0, 0, 32 << 20).unwrap();
        client.recv(len).unwrap();
        drop(client);
        let mut client = server.connect();
        client.structured("");
        client.request(cmd::WRITE, 0, 0, 32 << 20).unwrap();
        client.send_zeroes(len as u64).unwrap();
        drop(client);
        server.assert_serves();
    }
}
