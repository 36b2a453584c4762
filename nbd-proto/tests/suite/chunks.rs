// SPDX-License-Identifier: BSD-3-Clause
//! Replies that make no sense, and requests that cannot be said, against the client half of transmission.

use nbd_proto::client::{Config, Decoded, EncodeError, Fatal, Reply, Session};
use nbd_proto::wire::{ChunkType, CommandFlags, ErrorCode};
use nbd_proto::{Command, ContextSet, Mode, Request, server};

use crate::fuzzed::pump::{Answers, sessions};

fn session(mode: Mode) -> Session {
    let wanted = Config::new("disk")
        .structured_replies(mode != Mode::Simple)
        .extended_headers(mode == Mode::Extended)
        .context("base:allocation")
        .context("x-test:y");
    sessions(server::Config::default(), wanted, &Answers::everything()).1
}

fn structured(kind: ChunkType, flags: u16, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&b"\x66\x8e\x33\xef"[..], &flags.to_be_bytes(), &kind.0.to_be_bytes(), &[0; 7], b"\x07", &len, payload]
        .concat()
}

fn fatal(request: Request, bytes: &[u8]) -> Fatal {
    match session(Mode::Structured).decode(bytes, |cookie| (cookie == 7).then_some(request)) {
        Decoded::Fatal(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn chunks_that_make_no_sense() {
    let read = Request::new(7, Command::Read, 1000, 500);
    let status = Request::new(7, Command::BlockStatus, 1000, 500);
    let one = status.with_flags(CommandFlags::REQ_ONE);
    let content = |request, kind, payload: &[u8]| match fatal(request, &structured(kind, 1, payload)) {
        Fatal::BadContent { why, .. } => why,
        other => panic!("{other:?}"),
    };
    let length = |request, kind, payload: &[u8]| {
        let why = fatal(request, &structured(kind, 1, payload));
        assert_eq!(why, Fatal::BadLength { chunk: kind, len: payload.len() as u64 });
    };
    let data = |offset: u64, len: usize| [&offset.to_be_bytes()[..], &vec![0; len]].concat();
    let hole = |offset: u64, len: u32| [&offset.to_be_bytes()[..], &len.to_be_bytes()].concat();
    let range = "it is not within the range that was asked for";
    for (offset, len) in [(999, 1), (1000, 501), (1499, 2), (1500, 1), (u64::MAX, 1), (0, 600)] {
        assert_eq!(content(read, ChunkType::OFFSET_DATA, &data(offset, len)), range);
        assert_eq!(content(read, ChunkType::OFFSET_HOLE, &hole(offset, len as u32)), range);
    }
    assert_eq!(content(read, ChunkType::OFFSET_HOLE, &hole(1000, 0)), range);
    length(read, ChunkType::OFFSET_DATA, &data(1000, 0));
    length(read, ChunkType::OFFSET_HOLE, &data(1000, 3));
    length(read, ChunkType::NONE, b"x");
    for payload in [&b"\0\0\0\x01"[..], &[0; 11], &[0; 16]] {
        length(status, ChunkType::BLOCK_STATUS, payload);
    }
    let extents = |id: u8, lengths: &[u32]| {
        let descriptors = lengths.iter().flat_map(|len| [len.to_be_bytes(), [0; 4]].concat());
        [0, 0, 0, id].into_iter().chain(descriptors).collect::<Vec<u8>>()
    };
    assert_eq!(
        content(status, ChunkType::BLOCK_STATUS, &extents(2, &[5])),
        "its meta context was not negotiated"
    );
    assert_eq!(
        content(status, ChunkType::BLOCK_STATUS, &extents(1, &[5, 0])),
        "it has an extent of no length"
    );
    let too_many = "it is more than the one extent asked for";
    assert_eq!(content(one, ChunkType::BLOCK_STATUS, &extents(1, &[5, 5])), too_many);
    assert_eq!(content(one, ChunkType::BLOCK_STATUS, &extents(1, &[501])), too_many);
    assert_eq!(content(read, ChunkType::ERROR, &[0; 6]), "its error is none");
    assert_eq!(content(read, ChunkType::ERROR, b"\0\0\0\x05\0\x05abcd"), "its message is too long");
    let endless = [&b"\0\0\0\x05\x10\x01"[..], &[b'x'; 4097]].concat();
    assert_eq!(content(read, ChunkType::ERROR, &endless), "its message is too long");
    assert_eq!(content(read, ChunkType::ERROR_OFFSET, b"\0\0\0\x05\0\0\0\0\0\0\0\0\0"), "it has no offset");
    length(read, ChunkType::ERROR, b"\0\0\0\x05\0");
    length(read, ChunkType::ERROR, &[1; 16385]);
    for (request, kind) in [
        (status, ChunkType::OFFSET_DATA),
        (status, ChunkType::OFFSET_HOLE),
        (read, ChunkType::BLOCK_STATUS),
        (status, ChunkType::BLOCK_STATUS_EXT),
        (read, ChunkType(77)),
    ] {
        assert_eq!(fatal(request, &structured(kind, 1, &[1; 24])), Fatal::UnexpectedChunk(kind));
    }
    let unfinished = fatal(read, &structured(ChunkType::NONE, 0, &[]));
    assert_eq!(unfinished, Fatal::BadContent { chunk: ChunkType::NONE, why: "it is not the last one" });
}

#[test]
fn heads_that_make_no_sense() {
    let read = Request::new(7, Command::Read, 1000, 500);
    let simple = |error: u8| [&b"\x67\x44\x66\x98\0\0\0"[..], &[error], &[0; 7], b"\x07"].concat();
    assert_eq!(fatal(read, &simple(0)), Fatal::UnexpectedSimple(Command::Read));
    let error = simple(5);
    let Decoded::Reply { reply, last: true, .. } = session(Mode::Structured).decode(&error, |_| Some(read))
    else {
        panic!()
    };
    assert_eq!(
        reply,
        Reply::Error { code: ErrorCode::EIO, message: "", offset: None },
        "an error is understood"
    );
    assert_eq!(fatal(read, &[9; 20]), Fatal::BadMagic(0x0909_0909));
    let mut other = simple(0);
    other[15] = 8;
    assert_eq!(fatal(read, &other), Fatal::UnknownCookie(8));
    other[0..4].copy_from_slice(b"\x66\x8e\x33\xef");
    assert!(matches!(
        session(Mode::Simple).decode(&other, |_| Some(read)),
        Decoded::Fatal(Fatal::BadMagic(_))
    ));
    assert!(matches!(
        session(Mode::Extended).decode(&simple(0), |_| Some(read)),
        Decoded::Fatal(Fatal::BadMagic(_))
    ));
}

#[test]
fn extended_chunks_that_make_no_sense() {
    let session = session(Mode::Extended);
    let status = Request::new(7, Command::BlockStatus, 1000, 500);
    let chunk = |offset: u64, payload: &[u8]| {
        let len = (payload.len() as u64).to_be_bytes();
        let cookie = 7u64.to_be_bytes();
        [&b"\x6e\x8a\x27\x8c\0\x01\0\x06"[..], &cookie, &offset.to_be_bytes(), &len, payload].concat()
    };
    let why = |bytes: &[u8]| match session.decode(bytes, |_| Some(status)) {
        Decoded::Fatal(Fatal::BadContent { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let extent = |len: u64| [len.to_be_bytes(), [0; 8]].concat();
    assert_eq!(why(&chunk(999, &[])), "its offset is not that of the request");
    let wrong = [&b"\0\0\0\x01\0\0\0\x02"[..], &extent(1)].concat();
    assert_eq!(why(&chunk(1000, &wrong)), "its count is not that of its extents");
    let endless = [&b"\0\0\0\x01\0\0\0\x02"[..], &extent(u64::MAX / 2), &extent(u64::MAX / 2 + 2)].concat();
    assert_eq!(why(&chunk(1000, &endless)), "its extents have no end");
}

#[test]
fn messages_that_are_not_text() {
    let read = Request::new(7, Command::Read, 1000, 500);
    let bytes = structured(ChunkType::ERROR, 1, b"\0\0\0\x05\0\x04ab\xffc");
    let session = session(Mode::Structured);
    let Decoded::Reply { reply, .. } = session.decode(&bytes, |_| Some(read)) else { panic!() };
    assert_eq!(reply, Reply::Error { code: ErrorCode::EIO, message: "ab", offset: None });
    let bytes = structured(ChunkType(0x8099), 1, b"\0\0\0\x05\0\x02abXYZ");
    let Decoded::Reply { reply, consumed, .. } = session.decode(&bytes, |_| Some(read)) else { panic!() };
    assert_eq!(consumed, bytes.len(), "what an unknown error adds is skipped");
    assert_eq!(reply, Reply::Error { code: ErrorCode::EIO, message: "ab", offset: None });
}

#[test]
fn requests_that_cannot_be_said() {
    let long = Request::new(1, Command::Trim, 0, 1 << 32);
    assert_eq!(session(Mode::Structured).encode(&long), Err(EncodeError::TooLong(1 << 32)));
    assert_eq!(session(Mode::Extended).encode(&long).map(|head| head.len()), Ok(32));
    let write = Request { command: Command::Write, ..long };
    assert_eq!(session(Mode::Extended).encode(&write), Err(EncodeError::TooLong(1 << 32)));

    let mut choice = Request::new(1, Command::BlockStatus, 0, 512);
    choice.contexts = ContextSet::NONE.with(1);
    let mut out = Vec::new();
    assert_eq!(session(Mode::Extended).encode(&choice), Err(EncodeError::NeedsPayload));
    assert_eq!(session(Mode::Structured).encode_status(&choice, &mut out), Err(EncodeError::CannotChoose));
    session(Mode::Extended).encode_status(&choice, &mut out).unwrap();
    assert_eq!((out.len(), &out[40..]), (44, &[0, 0, 0, 3][..]));
    choice.contexts = ContextSet::NONE.with(5);
    assert_eq!(session(Mode::Extended).encode_status(&choice, &mut out), Err(EncodeError::CannotChoose));
}
