// SPDX-License-Identifier: BSD-3-Clause
//! Every option against the server half, byte for byte: what it answers to good ones, bad ones and too many.

use nbd_proto::server::{Abort, Ask, Config, Handshake, Step, Style, Tls};
use nbd_proto::wire::{ClientFlags, HandshakeFlags, IHAVEOPT, InfoType, MAX_OPTION, OPTION_REPLY, Opt, Rep};
use nbd_proto::{ExportInfo, Mode};

use crate::fuzzed::pump::Answers;

/// A client that speaks raw bytes, and a server that answers everything.
pub struct Raw {
    pub server: Handshake,
    pub answers: Answers,
    pub asked: Vec<Ask>,
}

impl Raw {
    pub fn new(config: Config) -> Self {
        Self::with_flags(config, ClientFlags::ALL)
    }

    pub fn with_flags(config: Config, flags: ClientFlags) -> Self {
        let mut raw =
            Self { server: Handshake::new(config), answers: Answers::everything(), asked: Vec::new() };
        raw.go();
        raw.say(&flags.0.to_be_bytes());
        raw
    }

    /// Goes on until input is needed or it is over; gives the output.
    pub fn go(&mut self) -> (Step, Vec<u8>) {
        let mut output = Vec::new();
        loop {
            match self.server.step() {
                Step::Send => output.extend(self.server.take_output()),
                Step::Ask(ask) => {
                    self.answers.answer(&mut self.server, &ask);
                    self.asked.push(ask);
                }
                step => return (step, output),
            }
        }
    }

    pub fn say(&mut self, mut bytes: &[u8]) -> (Step, Vec<u8>) {
        let mut said = Vec::new();
        loop {
            let (step, output) = self.go();
            said.extend(output);
            match step {
                Step::NeedInput if !bytes.is_empty() => bytes = &bytes[self.server.feed(bytes)..],
                step => return (step, said),
            }
        }
    }

    /// Sends an option; gives the types and payloads of the replies.
    pub fn option(&mut self, option: Opt, payload: &[u8]) -> Vec<(Rep, Vec<u8>)> {
        let (step, said) = self.say(&message(option, payload));
        assert!(!matches!(step, Step::Abort(_)), "{step:?}");
        replies(option, &said)
    }

    /// Sends an option that has one reply without a payload that matters.
    pub fn one(&mut self, option: Opt, payload: &[u8]) -> Rep {
        let replies = self.option(option, payload);
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies[0].0
    }

    pub fn abort(&mut self, bytes: &[u8]) -> Abort {
        match self.say(bytes) {
            (Step::Abort(why), _) => why,
            other => panic!("goes on: {other:?}"),
        }
    }
}

pub fn message(option: Opt, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&IHAVEOPT.to_be_bytes()[..], &option.0.to_be_bytes(), &len, payload].concat()
}

pub fn replies(option: Opt, mut said: &[u8]) -> Vec<(Rep, Vec<u8>)> {
    let mut replies = Vec::new();
    while !said.is_empty() {
        let word = |at: usize| u32::from_be_bytes(said[at..at + 4].try_into().unwrap());
        assert_eq!(said[..8], OPTION_REPLY.to_be_bytes());
        assert_eq!(word(8), option.0);
        let len = word(16) as usize;
        replies.push((Rep(word(12)), said[20..20 + len].to_vec()));
        said = &said[20 + len..];
    }
    replies
}

pub fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text].concat()
}

pub fn info(name: &[u8], infos: &[InfoType]) -> Vec<u8> {
    let mut payload = string(name);
    payload.extend((infos.len() as u16).to_be_bytes());
    infos.iter().for_each(|info| payload.extend(info.0.to_be_bytes()));
    payload
}

pub fn contexts(name: &[u8], queries: &[&[u8]]) -> Vec<u8> {
    let mut payload = string(name);
    payload.extend((queries.len() as u32).to_be_bytes());
    queries.iter().for_each(|query| payload.extend(string(query)));
    payload
}

#[test]
fn greeting() {
    let mut server = Handshake::new(Config::default());
    assert_eq!(server.step(), Step::Send);
    assert_eq!(server.output(), b"NBDMAGICIHAVEOPT\0\x03");
    server.sent(17);
    assert_eq!(server.output(), b"\x03");
    server.sent(1);
    assert_eq!(server.step(), Step::NeedInput);
}

#[test]
fn client_flags_that_were_not_offered() {
    let mut raw =
        Raw { server: Handshake::new(Config::default()), answers: Answers::everything(), asked: vec![] };
    assert_eq!(raw.abort(&7u32.to_be_bytes()), Abort::ClientFlags(ClientFlags(4)));
    let config = Config::default().handshake_flags(HandshakeFlags::FIXED_NEWSTYLE);
    let mut raw = Raw { server: Handshake::new(config), answers: Answers::everything(), asked: vec![] };
    assert_eq!(raw.abort(&3u32.to_be_bytes()), Abort::ClientFlags(ClientFlags::NO_ZEROES));
}

#[test]
fn options_without_payload_refuse_one_and_go_on() {
    let options = [Opt::LIST, Opt::STARTTLS, Opt::STRUCTURED_REPLY, Opt::EXTENDED_HEADERS];
    for payload in [&b"x"[..], &[0; 16 << 10], &[0; 100_000]] {
        let mut raw = Raw::new(Config::default().tls(Tls::Allowed));
        for option in options {
            assert_eq!(raw.one(option, payload), Rep::ERR_INVALID, "{option}");
        }
        assert_eq!(raw.server.step(), Step::NeedInput);
        assert_eq!(
            raw.one(Opt::STRUCTURED_REPLY, &[]),
            Rep::ACK,
            "nothing of the payload was taken for an option"
        );
    }
}

#[test]
fn unknown_options_are_refused_and_skipped() {
    for option in [Opt::PEEK_EXPORT, Opt(0), Opt(12), Opt(u32::MAX)] {
        for len in [0, 7, 1 << 20] {
            let mut raw = Raw::new(Config::default());
            assert_eq!(raw.one(option, &vec![b'I'; len]), Rep::ERR_UNSUP, "{option}");
            assert_eq!(raw.one(Opt::STRUCTURED_REPLY, &[]), Rep::ACK);
        }
    }
}

#[test]
fn refusals_have_their_own_words() {
    let mut raw = Raw::new(Config::default());
    let words = |replies: Vec<(Rep, Vec<u8>)>| String::from_utf8(replies[0].1.clone()).unwrap();
    assert_eq!(words(raw.option(Opt::STARTTLS, &[])), "TLS is disabled");
    assert_eq!(words(raw.option(Opt::PEEK_EXPORT, &[])), "NBD_OPT_PEEK_EXPORT is not supported");
    assert_eq!(words(raw.option(Opt::LIST, b"x")), "this option takes no payload");
}

#[test]
fn structured_replies_and_extended_headers() {
    let mut raw = Raw::new(Config::default());
    assert_eq!(raw.one(Opt::STRUCTURED_REPLY, &[]), Rep::ACK);
    assert_eq!(raw.one(Opt::STRUCTURED_REPLY, &[]), Rep::ERR_INVALID);
    assert_eq!(raw.one(Opt::EXTENDED_HEADERS, &[]), Rep::ACK);
    assert_eq!(raw.one(Opt::EXTENDED_HEADERS, &[]), Rep::ERR_INVALID);
    assert_eq!(raw.one(Opt::STRUCTURED_REPLY, &[]), Rep::ERR_EXT_HEADER_REQD);
    assert_eq!(raw.abort(&message(Opt::EXPORT_NAME, b"disk")), Abort::ExportNameExtended);

    let mut raw = Raw::new(Config::default().structured_replies(false).extended_headers(false));
    assert_eq!(raw.one(Opt::STRUCTURED_REPLY, &[]), Rep::ERR_UNSUP);
    assert_eq!(raw.one(Opt::EXTENDED_HEADERS, &[]), Rep::ERR_UNSUP);
}

#[test]
fn info_sends_what_is_asked_for_in_that_order() {
    let mut raw = Raw::new(Config::default());
    let wanted = [InfoType::BLOCK_SIZE, InfoType(99), InfoType::NAME, InfoType::BLOCK_SIZE, InfoType::EXPORT];
    let replies = raw.option(Opt::INFO, &info(b"disk", &wanted));
    let kinds: Vec<_> = replies.iter().map(|(rep, payload)| (*rep, payload.get(..2).map(|b| b[1]))).collect();
    let info_of = |kind: InfoType| (Rep::INFO, Some(kind.0 as u8));
    let expected =
        [info_of(InfoType::EXPORT), info_of(InfoType::BLOCK_SIZE), info_of(InfoType::NAME), (Rep::ACK, None)];
    assert_eq!(kinds, expected);
    assert_eq!(replies[0].1, [&[0, 0][..], &(1u64 << 20).to_be_bytes(), &0x0d7du16.to_be_bytes()].concat());
    assert_eq!(replies[1].1, [0, 3, 0, 0, 0, 1, 0, 0, 16, 0, 255, 255, 255, 255]);
    assert_eq!(replies[2].1, b"\0\x01disk");
    assert_eq!(raw.server.step(), Step::NeedInput, "info does not begin transmission");
}

#[test]
fn info_leaves_out_what_is_not_there() {
    let mut raw = Raw::new(Config::default());
    raw.answers.export = ExportInfo::new(5, Default::default());
    assert_eq!(raw.option(Opt::INFO, &info(b"", InfoType::ALL)).len(), 2, "export and the end");
    let named = raw.option(Opt::INFO, &info(b"me", InfoType::ALL));
    assert_eq!(named[1].1, b"\0\x01me", "without a canonical name the client's own");
    assert_eq!(named.len(), 3);
}

#[test]
fn malformed_infos() {
    let good = info(b"disk", InfoType::ALL);
    let long = vec![b'n'; 4097];
    for option in [Opt::INFO, Opt::GO] {
        let mut raw = Raw::new(Config::default().max_payload(1));
        let lengths = (0..good.len()).filter(|len| *len != 6 + 4);
        for bad in lengths.map(|len| good[..len].to_vec()).chain([[&good[..], b"x"].concat()]) {
            raw.server = Raw::new(Config::default()).server;
            assert_eq!(raw.one(option, &bad), Rep::ERR_INVALID, "{bad:?}");
        }
        raw.server = Raw::new(Config::default()).server;
        for name in [&b"a\0b"[..], b"\xff", &long] {
            let replies = raw.option(option, &info(name, &[]));
            assert_eq!(replies[0].0, Rep::ERR_INVALID);
            assert!(replies[0].1.starts_with(b"export name "), "{replies:?}");
        }
        let many = vec![InfoType(9); 10_000];
        assert_eq!(raw.one(option, &info(b"disk", &many)), Rep::ERR_TOO_BIG);
        assert!(raw.asked.is_empty());
    }
}

#[test]
fn names_may_have_4096_bytes() {
    let name = vec![b'n'; 4096];
    let mut raw = Raw::new(Config::default());
    assert_eq!(raw.option(Opt::GO, &info(&name, &[]))[0].0, Rep::INFO);
    let mut raw = Raw::new(Config::default());
    let Step::Done(session) = raw.say(&message(Opt::EXPORT_NAME, &name)).0 else { panic!() };
    assert_eq!(session.name().len(), 4096);
}

#[test]
fn export_name_closes_where_it_cannot_refuse() {
    let long = vec![b'n'; 4097];
    for name in [&b"a\0b"[..], b"\xff", &long, &[b'n'; 20_000]] {
        let mut raw = Raw::new(Config::default());
        let why = raw.abort(&message(Opt::EXPORT_NAME, name));
        assert!(matches!(why, Abort::BadExportName(_)), "{why:?}");
    }
    let mut raw = Raw::new(Config::default().tls(Tls::Required));
    assert_eq!(raw.abort(&message(Opt::EXPORT_NAME, b"")), Abort::TlsRequired);
}

#[test]
fn export_name_reply_has_zeroes_unless_negotiated() {
    for (flags, len) in [(ClientFlags::ALL, 10), (ClientFlags::FIXED_NEWSTYLE, 134), (ClientFlags::NONE, 134)]
    {
        let mut raw = Raw::with_flags(Config::default(), flags);
        let (step, said) = raw.say(&message(Opt::EXPORT_NAME, b"disk"));
        assert!(matches!(step, Step::Done(_)));
        assert_eq!(said.len(), len);
        assert_eq!(said[..8], (1u64 << 20).to_be_bytes());
        assert!(said[10..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn only_export_name_without_fixed_newstyle() {
    for option in [Opt::LIST, Opt::GO, Opt::ABORT, Opt::STARTTLS, Opt(99)] {
        let mut raw = Raw::with_flags(Config::default(), ClientFlags::NONE);
        assert_eq!(raw.one(option, &info(b"", &[])), Rep::ERR_INVALID, "{option}");
        let (step, _) = raw.say(&message(Opt::EXPORT_NAME, b""));
        assert!(matches!(step, Step::Done(_)), "the payload was skipped");
    }
}

#[test]
fn tls_required_refuses_all_else() {
    let mut raw = Raw::new(Config::default().tls(Tls::Required));
    let all =
        Opt::ALL.iter().filter(|option| ![Opt::EXPORT_NAME, Opt::ABORT, Opt::STARTTLS].contains(option));
    for option in all.chain([&Opt(99)]) {
        assert_eq!(raw.one(*option, b"payload"), Rep::ERR_TLS_REQD, "{option}");
        assert_eq!(raw.one(*option, &[0; 20_000]), Rep::ERR_TLS_REQD, "{option}");
    }
    let (step, said) = raw.say(&message(Opt::STARTTLS, &[]));
    assert_eq!((step, replies(Opt::STARTTLS, &said)), (Step::StartTls, vec![(Rep::ACK, vec![])]));
    assert_eq!(raw.server.feed(b"injected"), 0, "nothing is taken before TLS");
    raw.server.tls_started();
    assert_eq!(raw.one(Opt::STARTTLS, &[]), Rep::ERR_INVALID);
    assert_eq!(raw.one(Opt::STRUCTURED_REPLY, &[]), Rep::ACK);
}

#[test]
fn tls_forgets_modes_and_contexts() {
    let mut raw = Raw::new(Config::default().tls(Tls::Allowed));
    assert_eq!(raw.one(Opt::EXTENDED_HEADERS, &[]), Rep::ACK);
    assert_eq!(raw.option(Opt::SET_META_CONTEXT, &contexts(b"disk", &[b"base:allocation"])).len(), 2);
    raw.one(Opt::STARTTLS, &[]);
    raw.server.tls_started();
    let (Step::Done(session), _) = raw.say(&message(Opt::GO, &info(b"disk", &[]))) else { panic!() };
    assert_eq!((session.mode(), session.contexts().len(), session.is_tls()), (Mode::Simple, 0, true));
}

#[test]
fn contexts_need_chunks_to_be_set() {
    let mut raw = Raw::new(Config::default());
    let query = contexts(b"disk", &[b"base:allocation"]);
    assert_eq!(raw.one(Opt::SET_META_CONTEXT, &query), Rep::ERR_INVALID);
    let listed = raw.option(Opt::LIST_META_CONTEXT, &query);
    assert_eq!(listed[0], (Rep::META_CONTEXT, b"\0\0\0\0base:allocation".to_vec()));
    let mut raw = Raw::new(Config::default().meta_contexts(false));
    assert_eq!(raw.one(Opt::LIST_META_CONTEXT, &query), Rep::ERR_UNSUP);
    assert_eq!(raw.one(Opt::SET_META_CONTEXT, &query), Rep::ERR_UNSUP);
}

#[test]
fn contexts_are_for_one_export_and_the_last_selection() {
    let session = |options: &[(Opt, Vec<u8>)], name: &[u8]| {
        let mut raw = Raw::new(Config::default());
        raw.one(Opt::STRUCTURED_REPLY, &[]);
        options.iter().for_each(|(option, payload)| drop(raw.option(*option, payload)));
        match raw.say(&message(Opt::GO, &info(name, &[]))).0 {
            Step::Done(session) => session.contexts().iter().map(|context| context.id).collect::<Vec<_>>(),
            step => panic!("{step:?}"),
        }
    };
    let set = |queries: &[&[u8]]| (Opt::SET_META_CONTEXT, contexts(b"disk", queries));
    let both = set(&[b"x-test:y", b"base:allocation", b"x-test:y"]);
    assert_eq!(session(std::slice::from_ref(&both), b"disk"), [1, 3]);
    assert!(session(std::slice::from_ref(&both), b"other").is_empty());
    assert!(session(&[both.clone(), set(&[])], b"disk").is_empty());
    assert!(session(&[set(&[b"base:", b"x-test:"])], b"disk").is_empty(), "no wildcards in a selection");
    let broken = (Opt::SET_META_CONTEXT, b"broken".to_vec());
    assert!(session(&[both.clone(), broken], b"disk").is_empty(), "one that fails also replaces");
    let huge = (Opt::SET_META_CONTEXT, vec![0; 20_000]);
    assert!(session(&[both.clone(), huge], b"disk").is_empty());
    let list = (Opt::LIST_META_CONTEXT, contexts(b"other", &[]));
    assert_eq!(session(&[both, list], b"disk"), [1, 3], "listing changes nothing");
}

#[test]
fn malformed_contexts() {
    let good = contexts(b"disk", &[b"base:allocation", b"x:"]);
    for option in [Opt::LIST_META_CONTEXT, Opt::SET_META_CONTEXT] {
        for bad in (0..good.len()).map(|len| good[..len].to_vec()).chain([[&good[..], b"x"].concat()]) {
            let mut raw = Raw::new(Config::default());
            raw.one(Opt::STRUCTURED_REPLY, &[]);
            assert_eq!(raw.one(option, &bad), Rep::ERR_INVALID, "{bad:?}");
        }
        let mut raw = Raw::new(Config::default());
        raw.one(Opt::STRUCTURED_REPLY, &[]);
        assert_eq!(raw.one(option, &contexts(b"a\0b", &[])), Rep::ERR_INVALID);
        assert_eq!(raw.one(option, &[0; 20_000]), Rep::ERR_TOO_BIG);
    }
}

#[test]
fn at_most_32_contexts() {
    let mut raw = Raw::new(Config::default());
    raw.answers.contexts = (0..40).map(|n| &*Box::leak(format!("x-many:{n}").into_boxed_str())).collect();
    assert_eq!(raw.option(Opt::LIST_META_CONTEXT, &contexts(b"", &[])).len(), 33);
}

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
