// SPDX-License-Identifier: BSD-3-Clause
//! Servers that send nonsense, against the client half.

use nbd_proto::client::{
    Config, Decoded, EncodeError, Event, Failure, Fatal, Goal, Handshake, Reply, Session, Step,
};
use nbd_proto::wire::{ChunkType, CommandFlags, ErrorCode, Opt, Rep};
use nbd_proto::{Command, ContextSet, Mode, Request, server};

use crate::fuzzed::pump::{Answers, sessions};

fn run(config: Config, said: &[u8]) -> (Step, Vec<Event>) {
    let mut client = Handshake::new(config);
    let (mut rest, mut events) = (said, Vec::new());
    loop {
        match client.step() {
            Step::NeedInput if rest.is_empty() => client.eof(),
            Step::NeedInput => rest = &rest[client.feed(rest)..],
            Step::Send => drop(client.take_output()),
            Step::Event(event) => events.push(event),
            step => return (step, events),
        }
    }
}

const FIXED: &[u8] = b"NBDMAGICIHAVEOPT\0\x03";

fn reply(option: Opt, reply: Rep, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    let magic = 0x3_e889_0455_65a9u64.to_be_bytes();
    [&magic[..], &option.0.to_be_bytes(), &reply.0.to_be_bytes(), &len, payload].concat()
}

fn plain() -> Config {
    Config::new("").structured_replies(false).extended_headers(false)
}

fn go(replies: &[(Rep, &[u8])]) -> Step {
    let said = replies.iter().flat_map(|(rep, payload)| reply(Opt::GO, *rep, payload));
    run(plain(), &FIXED.iter().copied().chain(said).collect::<Vec<_>>()).0
}

fn why(step: &Step) -> &str {
    match step {
        Step::Failed(Failure::BadReply { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

const EXPORT: &[u8] = b"\0\0\0\0\0\0\0\0\x10\0\0\x01";

#[test]
fn not_a_server() {
    assert_eq!(
        run(plain(), b"SSH-2.0-OpenSSH_10").0,
        Step::Failed(Failure::NotNbd(u64::from_be_bytes(*b"SSH-2.0-")))
    );
    assert_eq!(
        run(plain(), b"NBDMAGIC--------").0,
        Step::Failed(Failure::UnknownStyle(0x2d2d_2d2d_2d2d_2d2d))
    );
    for len in 0..FIXED.len() {
        assert_eq!(run(plain(), &FIXED[..len]).0, Step::Failed(Failure::Eof));
    }
}

#[test]
fn wishes_that_cannot_be() {
    let failed =
        |config| matches!(run(config, &[]).0, Step::Failed(Failure::BadExportName(_) | Failure::BadContexts));
    assert!(failed(Config::new("n".repeat(4097))));
    assert!(failed(Config::new("a\0b")));
    assert!(failed(Config::new("").context("c".repeat(4097))));
    assert!(failed((0..33).fold(Config::new(""), |config, n| config.context(format!("x:{n}")))));
}

#[test]
fn replies_to_go() {
    assert!(matches!(go(&[(Rep::INFO, EXPORT), (Rep::ACK, b"")]), Step::Done(_)));
    let unknown: &[u8] = b"\0\x63whatever";
    assert!(matches!(go(&[(Rep::INFO, unknown), (Rep::INFO, EXPORT), (Rep::ACK, b"")]), Step::Done(_)));
    assert_eq!(why(&go(&[(Rep::ACK, b"")])), "NBD_INFO_EXPORT is missing");
    assert_eq!(why(&go(&[(Rep::INFO, b"\0\x01name"), (Rep::ACK, b"")])), "NBD_INFO_EXPORT is missing");
    assert_eq!(why(&go(&[(Rep::INFO, EXPORT), (Rep::ACK, b"x")])), "NBD_REP_ACK with a payload");
    assert_eq!(why(&go(&[(Rep::INFO, &EXPORT[..11])])), "too short");
    assert_eq!(why(&go(&[(Rep::INFO, &[EXPORT, b"x"].concat())])), "too long");
    assert_eq!(why(&go(&[(Rep::INFO, b"")])), "too short");
    assert_eq!(why(&go(&[(Rep::INFO, b"\0\x03\0\0\0\x01")])), "too short");
    assert_eq!(why(&go(&[(Rep::SERVER, b"\0\0\0\0")])), "it is of a type that does not answer this option");
    assert_eq!(
        why(&go(&[(Rep::INFO, &[&b"\0\x01"[..], &[b'n'; 4097]].concat())])),
        "string longer than 4096 bytes"
    );
    assert_eq!(why(&go(&[(Rep::INFO, &[0; 16385])])), "too long");
    let mut other = [FIXED, &reply(Opt::LIST, Rep::ACK, b"")].concat();
    assert_eq!(why(&run(plain(), &other).0), "it answers another option");
    other[18] ^= 1;
    assert_eq!(why(&run(plain(), &other).0), "bad magic number");
}

#[test]
fn block_sizes_that_contradict_themselves_are_ignored() {
    let sizes = |numbers: [u32; 3]| {
        let info = [&[0, 3][..], numbers.map(u32::to_be_bytes).as_flattened()].concat();
        match go(&[(Rep::INFO, EXPORT), (Rep::INFO, &info), (Rep::ACK, b"")]) {
            Step::Done(session) => session.export().block_size.map(|size| size.min),
            step => panic!("{step:?}"),
        }
    };
    assert_eq!(sizes([512, 4096, 1 << 25]), Some(512));
    for bad in
        [[0, 4096, 4096], [3, 4096, 4096], [1 << 17, 1 << 17, 1 << 17], [512, 256, 512], [1, 4096, 100]]
    {
        assert_eq!(sizes(bad), None);
    }
}

#[test]
fn long_errors_are_read_to_their_end() {
    let text = vec![b'e'; 20_000];
    let said = [FIXED, &reply(Opt::GO, Rep::ERR_UNKNOWN, &text)].concat();
    let Step::Failed(Failure::Refused { text, .. }) = run(plain(), &said).0 else { panic!() };
    assert_eq!(text, "", "too long to be stored");
    let said = [FIXED, &reply(Opt::GO, Rep::ERR_UNKNOWN, &[0xff; 5000])].concat();
    let Step::Failed(Failure::Refused { text, .. }) = run(plain(), &said).0 else { panic!() };
    assert_eq!(text.chars().count(), 4096);
}

#[test]
fn go_falls_back_to_export_name() {
    let said = [FIXED, &reply(Opt::GO, Rep::ERR_UNSUP, b""), &[0, 0, 0, 0, 0, 0, 2, 0, 0, 1][..]].concat();
    let Step::Done(session) = run(plain(), &said).0 else { panic!() };
    assert_eq!(session.size(), 512);
    assert_eq!(run(plain(), &said[..said.len() - 10]).0, Step::Failed(Failure::NoSuchExport));
    let extended = Config::new("").structured_replies(false);
    let said =
        [FIXED, &reply(Opt::EXTENDED_HEADERS, Rep::ACK, b""), &reply(Opt::GO, Rep::ERR_UNSUP, b"")].concat();
    assert!(
        matches!(run(extended, &said).0, Step::Failed(Failure::Refused { .. })),
        "not with extended headers"
    );
}

#[test]
fn contexts_that_make_no_sense() {
    let select = |replies: &[(Rep, &[u8])]| {
        let head = [FIXED, &reply(Opt::STRUCTURED_REPLY, Rep::ACK, b"")].concat();
        let said = replies.iter().flat_map(|(rep, payload)| reply(Opt::SET_META_CONTEXT, *rep, payload));
        let tail = [reply(Opt::GO, Rep::INFO, EXPORT), reply(Opt::GO, Rep::ACK, b"")].concat();
        let said: Vec<u8> = head.into_iter().chain(said).chain(tail).collect();
        run(Config::new("").extended_headers(false).context("base:allocation"), &said)
    };
    let context: &[u8] = b"\0\0\0\x01base:allocation";
    let Step::Done(session) =
        select(&[(Rep::META_CONTEXT, context), (Rep::META_CONTEXT, context), (Rep::ACK, b"")]).0
    else {
        panic!()
    };
    assert_eq!(session.contexts().len(), 1, "twice is once");
    let other: &[u8] = b"\0\0\0\x01x:y";
    let (step, _) = select(&[(Rep::META_CONTEXT, context), (Rep::META_CONTEXT, other)]);
    assert_eq!(why(&step), "two meta contexts of the same id");
    let many: Vec<_> = (0..33u32).map(|id| [&id.to_be_bytes()[..], b"x:y"].concat()).collect();
    let many: Vec<_> = many.iter().map(|payload| (Rep::META_CONTEXT, &payload[..])).collect();
    assert_eq!(why(&select(&many).0), "too many meta contexts");
    let (step, events) = select(&[(Rep::META_CONTEXT, context), (Rep::ERR_INVALID, b"never mind")]);
    let Step::Done(session) = step else { panic!() };
    assert!(session.contexts().is_empty(), "an error takes back what came before");
    assert!(matches!(&events[..], [Event::Refused { option: Opt::SET_META_CONTEXT, .. }]));
}

#[test]
fn lists_that_do_not_end() {
    let mut client = Handshake::new(plain().goal(Goal::List));
    let export = reply(Opt::LIST, Rep::SERVER, b"\0\0\0\x01x");
    let mut rest = FIXED;
    let mut count = 0;
    loop {
        match client.step() {
            Step::NeedInput if rest.is_empty() => rest = &export,
            Step::NeedInput => rest = &rest[client.feed(rest)..],
            Step::Send => drop(client.take_output()),
            Step::Event(_) => count += 1,
            step => {
                assert_eq!((why(&step), count), ("it does not end", 1 << 20));
                return;
            }
        }
    }
}

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
