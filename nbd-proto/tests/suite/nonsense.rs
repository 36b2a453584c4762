// SPDX-License-Identifier: BSD-3-Clause
//! Servers that send nonsense, against the client half of the handshake.

use nbd_proto::client::{Config, Event, Failure, Goal, Handshake, Step};
use nbd_proto::wire::{Opt, Rep};

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
