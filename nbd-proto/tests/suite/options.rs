// SPDX-License-Identifier: BSD-3-Clause
//! Every option but those about contexts, against the server half, byte for byte.

use nbd_proto::server::{Abort, Config, Handshake, Step, Tls};
use nbd_proto::wire::{ClientFlags, HandshakeFlags, InfoType, Opt, Rep};
use nbd_proto::{ExportInfo, Mode};

use crate::fuzzed::pump::Answers;
use crate::raw::{Raw, contexts, info, message, replies};

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
    assert_eq!(words(raw.option(Opt::LIST, b"x")), "this option takes no payload, not 1 bytes");
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
