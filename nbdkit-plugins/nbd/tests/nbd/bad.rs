// SPDX-License-Identifier: BSD-3-Clause
//! What servers say that mean no good, as seeds for the fuzzer.

use crate::{
    corpus::{SIZE, said},
    peer::{ALL, Peer, negotiate, next_request},
};
use nbd_proto::{
    Command, ExportInfo, Request,
    server::{Config, Session, Style},
    wire::{ErrorCode, IHAVEOPT, NBDMAGIC, OPTION_REPLY},
};
use std::{io::Write, net::Shutdown};

/// By what is wrong with it.
pub fn bad() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = handshakes();
    seeds.extend(transmissions());
    seeds
}

/// Those with which nobody gets as far as an export.
fn handshakes() -> Vec<(&'static str, Vec<u8>)> {
    let export = |size: u64| [&[0, 0][..], &size.to_be_bytes(), &[0, 1]].concat();
    let oldstyle = Config::default().style(Style::Oldstyle);
    vec![
        ("bad-size-2-63", said(after_greeting(ExportInfo::new(1 << 63, ALL), Config::default()))),
        ("bad-size-2-64", said(after_greeting(ExportInfo::new(u64::MAX, ALL), Config::default()))),
        ("bad-size-oldstyle", said(after_greeting(ExportInfo::new(u64::MAX, ALL), oldstyle))),
        ("bad-no-nbd", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec()),
        ("bad-endless-information", speech(&[reply(GO, INFO, b"\0\x02words").repeat(500)])),
        ("bad-endless-acknowledgements", speech(&[reply(GO, ACK, b"").repeat(500)])),
        ("bad-endless-string", speech(&[reply(GO, INFO, &[b"\0\x02", &[b'x'; 8000][..]].concat())])),
        ("bad-length", speech(&[announced(GO, INFO, u32::MAX)])),
        ("bad-refusal", speech(&[reply(GO, UNKNOWN, &b"line\n\x1b[7m\xff".repeat(500))])),
        ("bad-other-option", speech(&[reply(7777, ACK, b"")])),
        ("bad-no-export", speech(&[reply(GO, ACK, b"")])),
        ("bad-two-sizes", speech(&[reply(GO, INFO, &export(1 << 30)), reply(GO, INFO, &export(1 << 20))])),
        ("bad-block-sizes", speech(&[block_sizes(3, 5, 0), reply(GO, INFO, &export(1 << 30)), ok(GO)])),
        (
            "bad-largest-block",
            speech(&[block_sizes(1, 4096, 100), reply(GO, INFO, &export(1 << 30)), ok(GO)]),
        ),
        ("bad-tls-refused", tls(&[reply(STARTTLS, POLICY, b"no need")])),
        ("bad-tls-skipped", tls(&[reply(GO, INFO, &export(1 << 30)), ok(GO)])),
        ("bad-tls-plain", tls(&[ok(STARTTLS), reply(GO, INFO, &export(1 << 30)), ok(GO)])),
        ("bad-tls-alert", tls(&[ok(STARTTLS), b"\x15\x03\x03\0\x02\x02\x28".to_vec()])),
        ("bad-tls-record", tls(&[ok(STARTTLS), [b"\x16\x03\x03\xff\xff", &[2; 20000][..]].concat()])),
    ]
}

const STARTTLS: u32 = 5;
const GO: u32 = 7;
const ACK: u32 = 1;
const INFO: u32 = 3;
const UNSUP: u32 = 0x8000_0001;
const POLICY: u32 = 0x8000_0002;
const UNKNOWN: u32 = 0x8000_0006;

fn greeting() -> Vec<u8> {
    [&NBDMAGIC.to_be_bytes()[..], &IHAVEOPT.to_be_bytes(), &3u16.to_be_bytes()].concat()
}

fn announced(option: u32, kind: u32, len: u32) -> Vec<u8> {
    [&OPTION_REPLY.to_be_bytes()[..], &option.to_be_bytes(), &kind.to_be_bytes(), &len.to_be_bytes()].concat()
}

fn reply(option: u32, kind: u32, payload: &[u8]) -> Vec<u8> {
    [&announced(option, kind, payload.len() as u32), payload].concat()
}

fn ok(option: u32) -> Vec<u8> {
    reply(option, ACK, b"")
}

fn block_sizes(min: u32, preferred: u32, max: u32) -> Vec<u8> {
    let sizes = [min, preferred, max].map(u32::to_be_bytes).concat();
    reply(GO, INFO, &[b"\0\x03", &sizes[..]].concat())
}

/// Refuses the extensions that clients ask for first, and answers then.
fn speech(answers: &[Vec<u8>]) -> Vec<u8> {
    const EXTENDED_HEADERS: u32 = 11;
    const STRUCTURED_REPLY: u32 = 8;
    let refusals = [EXTENDED_HEADERS, STRUCTURED_REPLY].map(|option| reply(option, UNSUP, b""));
    [greeting(), refusals.concat(), answers.concat()].concat()
}

/// Encryption is what a client that requires it asks for first.
fn tls(answers: &[Vec<u8>]) -> Vec<u8> {
    [greeting(), answers.concat()].concat()
}

fn after_greeting(info: ExportInfo, config: Config) -> Peer {
    Peer::new(move |mut socket| {
        negotiate(&mut socket, config.clone(), &info)?;
        socket.shutdown(Shutdown::Both)
    })
}

type Answer = fn(&Session, &Request) -> Vec<u8>;

/// Those that answer the first request badly.
fn transmissions() -> Vec<(&'static str, Vec<u8>)> {
    let chunks: [(&str, Answer); 12] = [
        ("bad-reply-to-nothing", |session, request| {
            session.ok(Request { cookie: !request.cookie, ..*request }.tag()).to_vec()
        }),
        ("bad-reply-twice", |session, request| {
            let head = session.chunks().unwrap().hole(request.tag(), request.offset, 64, true);
            [&*head, &*head].concat()
        }),
        ("bad-reply-of-nothing", |session, request| session.ok(request.tag()).to_vec()),
        ("bad-data-too-long", |session, request| {
            let head = session.chunks().unwrap().data(request.tag(), request.offset, u32::MAX, true);
            [&*head, &[7; 1000]].concat()
        }),
        ("bad-data-before", |session, request| {
            let head = session.chunks().unwrap().data(request.tag(), request.offset - 1, 64, true);
            [&*head, &[7; 64]].concat()
        }),
        ("bad-hole-too-long", |session, request| {
            session.chunks().unwrap().hole(request.tag(), request.offset, u32::MAX, true).to_vec()
        }),
        ("bad-hole-at-the-end-of-numbers", |session, request| {
            session.chunks().unwrap().hole(request.tag(), u64::MAX, u32::MAX, true).to_vec()
        }),
        ("bad-holes-overlap", |session, request| {
            let chunks = session.chunks().unwrap();
            let hole = |at| chunks.hole(request.tag(), request.offset + at, 33, false).to_vec();
            [hole(0), hole(31)].concat()
        }),
        ("bad-gaps", |session, request| {
            let chunks = session.chunks().unwrap();
            (0..32)
                .flat_map(|n| chunks.hole(request.tag(), request.offset + 2 * n, 1, false).to_vec())
                .collect()
        }),
        ("bad-errors-without-end", |session, request| {
            let mut out = Vec::new();
            session.chunks().unwrap().error(
                request.tag(),
                ErrorCode::EIO,
                &"x".repeat(4096),
                false,
                &mut out,
            );
            out.repeat(16)
        }),
        ("bad-extents-for-a-read", |session, request| {
            let mut out = Vec::new();
            session.block_status(request, session.contexts()[0].id, [(4096, 0)], true, &mut out);
            out
        }),
        ("bad-noise", |_, _| b"\x55\xaa\0\xff".repeat(64)),
    ];
    let extents: [(&str, Answer); 5] = [
        ("bad-extents-none", |_, request| status(request, CONTEXT, 0, &[])),
        ("bad-extents-of-nothing", |_, request| status(request, CONTEXT, 1, &[(0, 0)])),
        ("bad-extents-beyond-numbers", |_, request| {
            status(request, CONTEXT, 2, &[(u64::MAX, 3), (u64::MAX, 0)])
        }),
        ("bad-extents-of-another-context", |_, request| status(request, CONTEXT + 1, 1, &[(64, 0)])),
        ("bad-extents-miscounted", |_, request| status(request, CONTEXT, u32::MAX, &[(64, 0)])),
    ];
    let read = chunks.map(|(name, answer)| (name, said(first(Command::Read, answer))));
    let status = extents.map(|(name, answer)| (name, said(first(Command::BlockStatus, answer))));
    read.into_iter().chain(status).collect()
}

/// What the servers here call `base:allocation`.
const CONTEXT: u32 = 1;

/// A chunk of extended headers that nobody has checked.
fn status(request: &Request, context: u32, count: u32, extents: &[(u64, u64)]) -> Vec<u8> {
    const MAGIC: u32 = 0x6e8a_278c;
    const DONE: u16 = 1;
    const BLOCK_STATUS_EXT: u16 = 6;
    let extents = extents.iter().flat_map(|(len, status)| [len.to_be_bytes(), status.to_be_bytes()].concat());
    let payload: Vec<u8> =
        [context, count].map(u32::to_be_bytes).concat().into_iter().chain(extents).collect();
    let mut out = MAGIC.to_be_bytes().to_vec();
    out.extend([DONE, BLOCK_STATUS_EXT].map(u16::to_be_bytes).concat());
    out.extend([request.cookie, request.offset, payload.len() as u64].map(u64::to_be_bytes).concat());
    out.extend(payload);
    out
}

/// Answers the first request of that kind with `answer`, no other at all, and hangs up.
fn first(command: Command, answer: Answer) -> Peer {
    Peer::new(move |mut socket| {
        let (session, mut input) = negotiate(&mut socket, Config::default(), &ExportInfo::new(SIZE, ALL))?;
        loop {
            let request = next_request(&mut socket, &session, &mut input)?;
            if request.command == command {
                socket.write_all(&answer(&session, &request))?;
                return socket.shutdown(Shutdown::Both);
            }
        }
    })
}
