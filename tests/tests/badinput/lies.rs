// SPDX-License-Identifier: BSD-3-Clause
//! Lengths inside a payload that do not fit the payload.

use nbdkit_tests::raw::{Client, opt};
use nbdkit_tests::{Feature, Server, supports};

use crate::{SIZE, victim};

/// 32-bit numbers and bytes, one after the other.
fn words(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            U16(n) => bytes.extend(n.to_be_bytes()),
            U32(n) => bytes.extend(n.to_be_bytes()),
            Bytes(b) => bytes.extend(*b),
        }
    }
    bytes
}

enum Part {
    U16(u16),
    U32(u32),
    Bytes(&'static [u8]),
}
use Part::{Bytes, U16, U32};

#[track_caller]
fn refused(client: &mut Client, code: u32, parts: &[Part]) {
    let payload = words(parts);
    let what = format!("option {code} with {}", payload.escape_ascii());
    let reply = client.verdict(code, &payload).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(reply.is_error(), "{what}: {reply:?}");
    // Understood as one option: the next one is in step.
    let export = client.go(b"").unwrap_or_else(|error| panic!("after {what}: {error}"));
    assert_eq!(export.expect("the default export").size, SIZE);
}

#[test]
fn info_and_go_with_lengths_that_lie() {
    let server = victim();
    let lies: &[&[Part]] = &[
        // Longer than what follows.
        &[U32(1), U16(0)],
        &[U32(5), Bytes(b"name"), U16(0)],
        &[U32(0x7fff_ffff), Bytes(b"name"), U16(0)],
        &[U32(0xffff_ffff), Bytes(b"name"), U16(0)],
        &[U32(0xffff_fffa), Bytes(b"name"), U16(0)],
        // The count of informations is missing, cut, or wrong.
        &[U32(4), Bytes(b"name")],
        &[U32(4), Bytes(b"name\0")],
        &[U32(0), U16(1)],
        &[U32(0), U16(2), U16(3)],
        &[U32(0), U16(0xffff), U16(3)],
        &[U32(0), U16(0x8000)],
        // More than was announced.
        &[U32(0), U16(0), U16(3)],
        &[U32(0), U16(1), U16(3), Bytes(b"x")],
        &[U32(3), Bytes(b"name"), U16(0)],
    ];
    for lie in lies {
        for code in [opt::INFO, opt::GO] {
            let mut client = server.connect();
            client.hello().unwrap();
            refused(&mut client, code, lie);
            server.assert_serves();
        }
    }
}

#[test]
fn meta_contexts_with_lengths_that_lie() {
    let server = victim();
    let lies: &[&[Part]] = &[
        &[U32(1), U32(0)],
        &[U32(0xffff_ffff), U32(0)],
        &[U32(0xffff_fff8), U32(0), U32(0)],
        // Queries that are not there.
        &[U32(0), U32(1)],
        &[U32(0), U32(0xffff_ffff)],
        &[U32(0), U32(0x4000_0000)],
        &[U32(0), U32(2), U32(5), Bytes(b"base:")],
        // Longer than what follows.
        &[U32(0), U32(1), U32(6), Bytes(b"base:")],
        &[U32(0), U32(1), U32(0xffff_ffff), Bytes(b"base:")],
        &[U32(0), U32(2), U32(5), Bytes(b"base:"), U32(0xffff_fffc)],
        // Cut in the midst of a number.
        &[U32(0), U16(0)],
        &[U32(0), U32(1), U16(0)],
    ];
    for lie in lies {
        refused_in_both_options(&server, lie);
    }
}

#[test]
fn meta_contexts_with_more_than_was_announced() {
    if !supports(Feature::StrictPayloads) {
        return;
    }
    let server = victim();
    refused_in_both_options(&server, &[U32(0), U32(1), U32(4), Bytes(b"base:")]);
    refused_in_both_options(&server, &[U32(0), U32(0), Bytes(b"base:")]);
    refused_in_both_options(&server, &[U32(0), U32(0), U32(0)]);
}

#[track_caller]
fn refused_in_both_options(server: &Server, lie: &[Part]) {
    for code in [opt::LIST_META_CONTEXT, opt::SET_META_CONTEXT] {
        let mut client = server.connect();
        client.hello().unwrap();
        client.verdict(opt::STRUCTURED_REPLY, &[]).unwrap();
        refused(&mut client, code, lie);
        server.assert_serves();
    }
}
