// SPDX-License-Identifier: BSD-3-Clause
//! The driver's answers to the server half, and all the ways in which a handshake ends.

use nbd_proto::ExportInfo;
use nbd_proto::server::{Abort, Ask, Config, Handshake, Step, Style, Tls};
use nbd_proto::wire::{IHAVEOPT, MAX_OPTION, Opt, Rep};

use crate::fuzzed::pump::Answers;
use crate::raw::{Raw, contexts, info, message, replies};

#[test]
fn budget() {
    let mut raw = Raw::new(Config::default());
    for _ in 0..31 {
        raw.one(Opt::PEEK_EXPORT, &[]);
    }
    let (step, said) = raw.say(&message(Opt::PEEK_EXPORT, &[]));
    assert_eq!(step, Step::Abort(Abort::TooManyOptions), "32 are answered, and that is the end");
    assert_eq!(replies(Opt::PEEK_EXPORT, &said).len(), 1);
}

#[test]
fn listing_raises_the_budget_once() {
    let mut raw = Raw::new(Config::default());
    for _ in 0..95 {
        raw.option(Opt::LIST, &[]);
    }
    assert_eq!(raw.say(&message(Opt::LIST, &[])).0, Step::Abort(Abort::TooManyOptions), "32 and 2 times 32");
}

#[test]
fn listing_little_by_little() {
    let mut server = Raw::new(Config::default()).server;
    server.feed(&message(Opt::LIST, &[]));
    assert_eq!(server.step(), Step::Ask(Ask::List));
    for n in 0..3 {
        server.list_export(&format!("{n}"), "");
        assert_eq!(server.step(), Step::Send);
        assert_eq!(server.take_output().len(), 20 + 4 + 1);
        assert_eq!(server.step(), Step::Ask(Ask::List), "still asked");
    }
    server.list_done();
    assert_eq!(replies(Opt::LIST, &server.take_output()), [(Rep::ACK, vec![])]);
    assert_eq!(server.step(), Step::NeedInput);
}

#[test]
fn answers_to_no_question_do_nothing() {
    let mut server = Raw::new(Config::default()).server;
    server.list_export("a", "b");
    server.list_done();
    server.open(ExportInfo::default());
    server.contexts(&["a:b"]);
    server.refuse(Rep::ERR_UNKNOWN, "");
    server.tls_started();
    assert_eq!(server.step(), Step::NeedInput);
    server.feed(&message(Opt::LIST, &[]));
    let _ = server.step();
    server.open(ExportInfo::default());
    server.contexts(&["a:b"]);
    assert_eq!(server.step(), Step::Ask(Ask::List));
}

#[test]
fn refusals_by_the_driver() {
    let mut raw = Raw::new(Config::default());
    raw.answers.refuse = Some((Rep::ERR_PLATFORM, "out of order"));
    for (option, payload) in [
        (Opt::LIST, vec![]),
        (Opt::INFO, info(b"", &[])),
        (Opt::GO, info(b"", &[])),
        (Opt::LIST_META_CONTEXT, contexts(b"", &[])),
    ] {
        assert_eq!(raw.option(option, &payload), [(Rep::ERR_PLATFORM, b"out of order".to_vec())]);
    }
    raw.answers.refuse = Some((Rep::ACK, "not an error"));
    assert_eq!(raw.one(Opt::GO, &info(b"", &[])), Rep::ERR_UNKNOWN);
    let (step, said) = raw.say(&message(Opt::EXPORT_NAME, b""));
    assert_eq!((step, said.len()), (Step::Abort(Abort::Refused("not an error".into())), 0));
}

#[test]
fn the_end_of_the_client() {
    let eof = |bytes: &[u8]| {
        let mut raw = Raw::new(Config::default());
        raw.say(bytes);
        raw.server.eof();
        raw.abort(&[])
    };
    let whole = message(Opt::GO, &info(b"disk", &[]));
    assert_eq!(eof(&[]), Abort::Eof);
    for len in 1..whole.len() {
        assert_eq!(eof(&whole[..len]), Abort::EofInMessage, "after {len} bytes");
    }
    let mut server = Handshake::new(Config::default());
    let _ = (server.step(), server.take_output());
    server.eof();
    assert_eq!(server.step(), Step::Abort(Abort::Eof), "before the client flags");

    let mut raw = Raw::new(Config::default());
    let (step, said) = raw.say(&message(Opt::ABORT, b"goodbye"));
    assert_eq!((step, replies(Opt::ABORT, &said)), (Step::Abort(Abort::Client), vec![(Rep::ACK, vec![])]));
    assert!(Abort::Client.is_polite() && Abort::Eof.is_polite() && !Abort::EofInMessage.is_polite());
}

#[test]
fn bad_magic_and_absurd_lengths() {
    let mut raw = Raw::new(Config::default());
    assert_eq!(raw.abort(&[7; 16]), Abort::BadMagic(0x0707_0707_0707_0707));
    let header = |len: u32| {
        [&IHAVEOPT.to_be_bytes()[..], &Opt::PEEK_EXPORT.0.to_be_bytes(), &len.to_be_bytes()].concat()
    };
    let mut raw = Raw::new(Config::default());
    let too_long = Abort::OptionTooLong { option: Opt::PEEK_EXPORT, len: MAX_OPTION + 1 };
    assert_eq!(raw.abort(&header(MAX_OPTION + 1)), too_long);
    let mut raw = Raw::new(Config::default());
    assert_eq!(raw.say(&header(MAX_OPTION)).0, Step::NeedInput);
    let (step, said) = raw.say(&vec![0; MAX_OPTION as usize]);
    assert_eq!((step, replies(Opt::PEEK_EXPORT, &said)[0].0), (Step::NeedInput, Rep::ERR_UNSUP));
}

#[test]
fn oldstyle() {
    let mut server = Handshake::new(Config::default().style(Style::Oldstyle));
    assert_eq!(server.step(), Step::Ask(Ask::ExportName { name: String::new() }));
    server.open(Answers::everything().export);
    let output = server.take_output();
    assert_eq!(output.len(), 152);
    assert_eq!(output[..16], *b"NBDMAGIC\0\0\x42\x02\x81\x86\x12\x53");
    assert_eq!(output[24..28], [0, 0, 0x0d, 0x7d]);
    assert!(matches!(server.step(), Step::Done(_)));

    let mut server = Handshake::new(Config::default().style(Style::Oldstyle).tls(Tls::Required));
    assert_eq!(server.step(), Step::Abort(Abort::TlsRequired));
}
