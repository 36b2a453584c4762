// SPDX-License-Identifier: BSD-3-Clause
//! Replies of the server half, byte for byte, and the arithmetic of extents.

use nbd_proto::client::{self, Reply};
use nbd_proto::server::{Config, Session};
use nbd_proto::wire::{CommandFlags as F, ErrorCode as E};
use nbd_proto::{Command, Head, Mode, Request, Tag};

use crate::fuzzed::pump::{Answers, sessions};

const TAG: Tag = Tag { cookie: 0x0102_0304_0506_0708, offset: 0x1000 };

fn pair(mode: Mode, size: u64) -> (Session, client::Session) {
    let mut answers = Answers::everything();
    answers.export.size = size;
    let wanted = client::Config::new("disk")
        .structured_replies(mode != Mode::Simple)
        .extended_headers(mode == Mode::Extended)
        .context("base:allocation");
    sessions(Config::default(), wanted, &answers)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn success() {
    let simple = "67446698".to_owned() + "00000000" + "0102030405060708";
    assert_eq!(hex(&pair(Mode::Simple, 1).0.ok(TAG)), simple);
    assert_eq!(hex(&pair(Mode::Structured, 1).0.ok(TAG)), simple);
    let extended =
        "6e8a278c0001".to_owned() + "0000" + "0102030405060708" + "0000000000001000" + "0000000000000000";
    assert_eq!(hex(&pair(Mode::Extended, 1).0.ok(TAG)), extended);
}

#[test]
fn reads() {
    assert_eq!(hex(&pair(Mode::Simple, 1).0.read(TAG, 512)), "67446698000000000102030405060708");
    let head = pair(Mode::Structured, 1).0.read(TAG, 512);
    assert_eq!(hex(&head), "668e33ef000100010102030405060708000002080000000000001000");
    let head = pair(Mode::Extended, 1).0.read(TAG, 512);
    assert_eq!(
        hex(&head),
        "6e8a278c00010001010203040506070800000000000010000000000000000208".to_owned() + "0000000000001000"
    );
    assert!(pair(Mode::Simple, 1).0.chunks().is_none());
    let chunks = pair(Mode::Structured, 1).0.chunks().unwrap();
    let hole = chunks.hole(TAG, 0x1200, 0x200, false);
    assert_eq!(hex(&hole), "668e33ef0000000201020304050607080000000c000000000000120000000200");
    assert_eq!(hex(&chunks.done(TAG)), "668e33ef00010000010203040506070800000000");
    assert!(pair(Mode::Extended, 1).0.chunks().unwrap().hole(TAG, 0, 1, true).len() <= Head::MAX);
}

#[test]
fn errors() {
    let error = |mode, message: &str| {
        let mut out = Vec::new();
        pair(mode, 1).0.error(TAG, E::ENOSPC, message, &mut out);
        out
    };
    assert_eq!(hex(&error(Mode::Simple, "full")), "674466980000001c0102030405060708");
    let structured =
        "668e33ef000180010102030405060708".to_owned() + "0000000a" + "0000001c" + "0004" + "66756c6c";
    assert_eq!(hex(&error(Mode::Structured, "full")), structured);
    let long = "ä".repeat(3000);
    assert_eq!(error(Mode::Structured, &long).len(), 20 + 6 + 4096);
    assert_eq!(error(Mode::Extended, &format!("x{long}")).len(), 32 + 6 + 4095, "no character is cut");

    let mut out = Vec::new();
    let chunks = pair(Mode::Structured, 1).0.chunks().unwrap();
    chunks.error_offset(TAG, E::SUCCESS, "hm", 0x1234, false, &mut out);
    let expected = "668e33ef000080020102030405060708".to_owned()
        + "00000010"
        + "00000005"
        + "0002"
        + "686d"
        + "0000000000001234";
    assert_eq!(hex(&out), expected, "an error is never success");
}

/// The extents as the client gets them.
fn status(mode: Mode, size: u64, request: Request, extents: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let (server, client) = pair(mode, size);
    let mut out = b"before".to_vec();
    server.block_status(&request, 1, extents.iter().copied(), true, &mut out);
    match client.decode(&out[6..], |_| Some(request)) {
        client::Decoded::Reply {
            reply: Reply::Status { context: 1, extents }, last: true, consumed, ..
        } => {
            assert_eq!(consumed, out.len() - 6);
            extents.collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn extents_are_joined_and_cut() {
    for mode in [Mode::Structured, Mode::Extended] {
        let request = Request::new(1, Command::BlockStatus, 1000, 3000);
        let status = |extents: &[_]| status(mode, 10_000, request, extents);
        assert_eq!(status(&[(1000, 0), (2000, 3)]), [(1000, 0), (2000, 3)]);
        assert_eq!(status(&[(1000, 0), (0, 1), (500, 0), (600, 3)]), [(1500, 0), (600, 3)]);
        assert_eq!(status(&[(3000, 0), (600, 3)]), [(3000, 0)], "what begins behind the request is left out");
        assert_eq!(
            status(&[(2999, 0), (600, 3), (1, 0)]),
            [(2999, 0), (600, 3)],
            "the last may reach further"
        );
        assert_eq!(status(&[(2999, 0), (u64::MAX, 3)]), [(2999, 0), (6001, 3)], "but not past the export");
        assert_eq!(status(&[(u64::MAX, 0), (u64::MAX, 0)]), [(9000, 0)]);
        assert_eq!(status(&[]), [(3000, 0)], "what is not known may have data");
        assert_eq!(status(&[(0, 3)]), [(3000, 0)]);
    }
}

#[test]
fn one_extent() {
    for mode in [Mode::Structured, Mode::Extended] {
        let request = Request::new(1, Command::BlockStatus, 1000, 3000).with_flags(F::REQ_ONE);
        let status = |extents: &[_]| status(mode, 10_000, request, extents);
        assert_eq!(status(&[(1000, 0), (2000, 3)]), [(1000, 0)]);
        assert_eq!(status(&[(1000, 0), (500, 0), (9, 3)]), [(1500, 0)]);
        assert_eq!(status(&[(5000, 2)]), [(3000, 2)]);
        assert_eq!(status(&[]), [(3000, 0)]);
    }
}

#[test]
fn extents_of_more_than_32_bits() {
    let size = 1 << 40;
    let max = u64::from(u32::MAX);
    let request = Request::new(1, Command::BlockStatus, 0, max);
    let compact = |extents: &[_]| status(Mode::Structured, size, request, extents);
    let cut = (1 << 32) - (1 << 16);
    assert_eq!(compact(&[(max, 0)]), [(max, 0)], "what fits is sent as it is");
    assert_eq!(compact(&[(max + 1, 0), (5, 3)]), [(cut, 0)], "nothing follows what was cut");
    assert_eq!(compact(&[(size, 3)]), [(cut, 3)]);
    assert_eq!(compact(&[(10, 3), (size, 0), (1, 3)]), [(10, 3), (cut, 0)]);
    assert_eq!(compact(&[(max, 3), (max, 3), (1, 0)]), [(cut, 3)], "joined past 32 bits");
    let request = Request::new(1, Command::BlockStatus, 0, 1 << 35);
    let extents = [(1 << 34, 3), (1 << 33, 1 << 40), (1 << 39, 0)];
    assert_eq!(status(Mode::Extended, size, request, &extents), extents);
}

#[test]
fn at_most_a_million_extents() {
    let request = Request::new(1, Command::BlockStatus, 0, 1 << 30);
    let extents: Vec<_> = (0..(1 << 20) + 100).map(|n| (1, n & 1)).collect();
    assert_eq!(status(Mode::Structured, 1 << 40, request, &extents).len(), 1 << 20);
}

#[test]
fn extents_without_end() {
    let (server, _) = pair(Mode::Extended, 10_000);
    let request = Request::new(1, Command::BlockStatus, 0, 1000);
    for status in [0, 3] {
        let mut out = Vec::new();
        server.block_status(&request, 1, std::iter::repeat((600, status)), true, &mut out);
        assert_eq!(out.len(), 32 + 8 + 16);
    }
}
