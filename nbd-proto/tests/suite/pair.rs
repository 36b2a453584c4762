// SPDX-License-Identifier: BSD-3-Clause
//! Both halves against each other: every goal, every mode, every style, however the bytes are cut.

use nbd_proto::client::{Event, Failure, Goal};
use nbd_proto::server::{Abort, Style, Tls};
use nbd_proto::wire::{CommandFlags, HandshakeFlags, Opt, Rep, TransmissionFlags};
use nbd_proto::{Command, ContextSet, Mode, Request, client, server};

use crate::fuzzed::pump::{Answers, Outcome, pump, sessions};

fn run(server: server::Config, client: client::Config) -> Outcome {
    let answers = Answers::everything();
    let whole = pump(server.clone(), client.clone(), &answers, usize::MAX);
    for chunk in [1, 3, 17] {
        assert_eq!(pump(server.clone(), client.clone(), &answers, chunk), whole, "cut into {chunk} bytes");
    }
    whole
}

fn both(outcome: &Outcome) -> (&server::Session, &client::Session) {
    match (&outcome.server, &outcome.client) {
        (server::Step::Done(server), client::Step::Done(client)) => (server, client),
        other => panic!("no session: {other:?}"),
    }
}

fn names(session: &client::Session) -> Vec<&str> {
    session.contexts().iter().map(|context| context.name.as_str()).collect()
}

fn wanted() -> client::Config {
    client::Config::new("disk").context("base:allocation").context("x-test:y").context("x-test:none")
}

#[test]
fn extended_headers_are_preferred() {
    let outcome = run(server::Config::default(), wanted());
    let (server, client) = both(&outcome);
    assert_eq!((server.mode(), client.mode()), (Mode::Extended, Mode::Extended));
    assert_eq!(server.contexts(), client.contexts());
    assert_eq!(names(client), ["base:allocation", "x-test:y"]);
    assert_eq!((client.contexts()[0].id, client.contexts()[1].id), (1, 3));
    assert_eq!(client.export().description.as_deref(), Some("a disk"));
    assert_eq!(client.export().name.as_deref(), Some("disk"));
    assert_eq!(client.export().block_size, server.export().block_size);
    let derived = TransmissionFlags::SEND_DF | TransmissionFlags::BLOCK_STATUS_PAYLOAD;
    assert!(client.flags().contains(derived), "{}", client.flags());
    assert_eq!(server.name(), "disk");
    assert!(outcome.events.is_empty());
}

#[test]
fn structured_replies_are_the_fallback() {
    let outcome = run(server::Config::default().extended_headers(false), wanted());
    let (server, client) = both(&outcome);
    assert_eq!((server.mode(), client.mode()), (Mode::Structured, Mode::Structured));
    assert_eq!(names(client), ["base:allocation", "x-test:y"]);
    assert!(client.flags().contains(TransmissionFlags::SEND_DF));
    assert!(!client.flags().contains(TransmissionFlags::BLOCK_STATUS_PAYLOAD));
    let [Event::Refused { option: Opt::EXTENDED_HEADERS, reply: Rep::ERR_UNSUP, text }] = &outcome.events[..]
    else {
        panic!("{:?}", outcome.events);
    };
    assert_eq!(text, "extended headers are disabled");
}

#[test]
fn simple_replies_are_always_there() {
    let config = server::Config::default().extended_headers(false).structured_replies(false);
    let outcome = run(config, wanted());
    let (server, client) = both(&outcome);
    assert_eq!((server.mode(), client.mode()), (Mode::Simple, Mode::Simple));
    assert!(client.contexts().is_empty(), "contexts need chunks");
    assert!(!client.flags().contains(TransmissionFlags::SEND_DF));
}

#[test]
fn meta_contexts_can_be_off() {
    let outcome = run(server::Config::default().meta_contexts(false), wanted());
    let (server, client) = both(&outcome);
    assert!(server.contexts().is_empty() && client.contexts().is_empty());
    assert!(!client.flags().contains(TransmissionFlags::BLOCK_STATUS_PAYLOAD));
}

#[test]
fn export_name_opens_with_and_without_zeroes() {
    for flags in
        [HandshakeFlags::NONE, HandshakeFlags::NO_ZEROES, HandshakeFlags::FIXED_NEWSTYLE, HandshakeFlags::ALL]
    {
        let outcome = run(server::Config::default().handshake_flags(flags), wanted().goal(Goal::ExportName));
        let (server, client) = both(&outcome);
        let fixed = flags.contains(HandshakeFlags::FIXED_NEWSTYLE);
        assert_eq!(client.mode(), if fixed { Mode::Structured } else { Mode::Simple });
        assert_eq!((client.size(), client.flags()), (server.size(), server.flags()));
    }
}

#[test]
fn go_falls_back_to_export_name_without_options() {
    let outcome = run(server::Config::default().handshake_flags(HandshakeFlags::NONE), wanted());
    assert_eq!(both(&outcome).1.size(), 1 << 20);
}

#[test]
fn oldstyle_opens() {
    let outcome = run(server::Config::default().style(Style::Oldstyle), wanted());
    let (server, client) = both(&outcome);
    assert_eq!(outcome.heard.len(), 152);
    assert_eq!((client.size(), client.flags()), (server.size(), server.flags()));
    let outcome = run(server::Config::default().style(Style::Oldstyle), wanted().goal(Goal::List));
    assert_eq!(outcome.client, client::Step::Failed(Failure::NoOptions));
}

#[test]
fn exports_are_listed() {
    let outcome = run(server::Config::default(), wanted().goal(Goal::List));
    let export =
        |name: &str, description: &str| Event::Export { name: name.into(), description: description.into() };
    assert_eq!(outcome.events, [export("", ""), export("disk", "a disk")]);
    assert_eq!(outcome.client, client::Step::Finished);
    assert_eq!(outcome.server, server::Step::Abort(Abort::Client));
}

#[test]
fn contexts_are_listed() {
    let list = |contexts: &[&str]| {
        let config = client::Config::new("disk").goal(Goal::ListContexts);
        let config = contexts.iter().fold(config, |config, name| config.context(*name));
        let outcome = run(server::Config::default(), config);
        assert_eq!(outcome.client, client::Step::Finished);
        let events = outcome.events.into_iter();
        events
            .map(|event| if let Event::Context { name } = event { name } else { panic!("{event:?}") })
            .collect::<Vec<_>>()
    };
    assert_eq!(list(&[]), ["base:allocation", "qemu:dirty-bitmap:x", "x-test:y"]);
    assert_eq!(list(&["base:"]), ["base:allocation"]);
    assert_eq!(list(&["base:allocation", "base:"]), ["base:allocation"], "once, though asked for twice");
    assert_eq!(list(&["qemu:", "x-test:z"]), ["qemu:dirty-bitmap:x"]);
    assert!(list(&["b", "base", "base:alloc", ""]).is_empty());
}

#[test]
fn info_tells_without_opening() {
    let outcome = run(server::Config::default(), wanted().goal(Goal::Info));
    let [Event::Info(info)] = &outcome.events[..] else { panic!("{:?}", outcome.events) };
    assert_eq!((info.size, info.description.as_deref()), (1 << 20, Some("a disk")));
    assert_eq!(outcome.client, client::Step::Finished);
}

#[test]
fn tls_wipes_what_came_before() {
    let tls = server::Config::default().tls(Tls::Required);
    let outcome = run(tls.clone(), wanted().tls(client::Tls::Required));
    let (server, client_session) = both(&outcome);
    assert!(server.is_tls() && client_session.is_tls());
    assert_eq!(client_session.mode(), Mode::Extended, "negotiated after TLS");

    let outcome = run(tls, wanted());
    let client::Step::Failed(Failure::Refused { option: Opt::GO, reply: Rep::ERR_TLS_REQD, .. }) =
        outcome.client
    else {
        panic!("{:?}", outcome.client);
    };
}

#[test]
fn tls_that_is_refused() {
    for (tls, reply) in [(Tls::Off, Rep::ERR_POLICY), (Tls::Unsupported, Rep::ERR_UNSUP)] {
        let server = server::Config::default().tls(tls);
        let outcome = run(server.clone(), wanted().tls(client::Tls::Required));
        assert!(
            matches!(&outcome.client, client::Step::Failed(Failure::Refused { reply: told, .. }) if *told == reply),
            "{:?}",
            outcome.client
        );
        let outcome = run(server, wanted().tls(client::Tls::Preferred));
        assert!(!both(&outcome).1.is_tls());
    }
    let no_options = server::Config::default().handshake_flags(HandshakeFlags::NONE);
    let outcome = run(no_options, wanted().tls(client::Tls::Required));
    assert_eq!(outcome.client, client::Step::Failed(Failure::NoOptions));
}

#[test]
fn the_drivers_refusal_reaches_the_client() {
    let mut answers = Answers::everything();
    answers.refuse = Some((Rep::ERR_UNKNOWN, "no such thing"));
    let outcome = pump(server::Config::default(), wanted(), &answers, usize::MAX);
    let refused = Failure::Refused { option: Opt::GO, reply: Rep::ERR_UNKNOWN, text: "no such thing".into() };
    assert_eq!(outcome.client, client::Step::Failed(refused));
    assert_eq!(outcome.server, server::Step::Abort(Abort::Client), "the client leaves politely");

    let outcome = pump(server::Config::default(), wanted().goal(Goal::ExportName), &answers, usize::MAX);
    assert_eq!(outcome.client, client::Step::Failed(Failure::NoSuchExport));
    assert_eq!(outcome.server, server::Step::Abort(Abort::Refused("no such thing".into())));
}

#[test]
fn flags_that_contradict_themselves_are_put_right() {
    use TransmissionFlags as F;
    let advertised = |flags| {
        let mut answers = Answers::everything();
        answers.export.flags = flags;
        let config = wanted().extended_headers(false).structured_replies(false);
        let (server, client) = sessions(server::Config::default(), config, &answers);
        assert_eq!(server.flags(), client.flags());
        client.flags()
    };
    assert_eq!(advertised(F::NONE), F::HAS_FLAGS);
    assert_eq!(advertised(F::SEND_FAST_ZERO), F::HAS_FLAGS, "fast zeroes are zeroes");
    assert_eq!(advertised(F::SEND_DF | F::BLOCK_STATUS_PAYLOAD), F::HAS_FLAGS, "neither was negotiated");
    let zeroes = F::HAS_FLAGS | F::SEND_WRITE_ZEROES | F::SEND_FAST_ZERO;
    assert_eq!(advertised(zeroes), zeroes);
    let kept =
        F::HAS_FLAGS | F::READ_ONLY | F::SEND_FLUSH | F::SEND_CACHE | F::ROTATIONAL | F::CAN_MULTI_CONN;
    let lost = F::SEND_FUA | F::SEND_TRIM | F::SEND_WRITE_ZEROES | F::SEND_FAST_ZERO;
    assert_eq!(advertised(kept | lost), kept, "what a read-only export cannot do");
}

#[test]
fn requests_arrive_as_they_were_sent() {
    let modes = [(Mode::Simple, 28), (Mode::Structured, 28), (Mode::Extended, 32)];
    for (mode, head) in modes {
        let config =
            wanted().extended_headers(mode == Mode::Extended).structured_replies(mode != Mode::Simple);
        let (server, client) = sessions(server::Config::default(), config, &Answers::everything());
        for command in Command::ALL
            .into_iter()
            .filter(|command| mode != Mode::Simple || *command != Command::BlockStatus)
        {
            let (offset, len) = if command == Command::Flush { (0, 0) } else { (0x1234, 0x567) };
            let request =
                Request::new(0x0102_0304_0506_0708, command, offset, len).with_flags(CommandFlags::FUA);
            let sent = client.encode(&request).unwrap();
            assert_eq!(server.decode(&sent), server::Decoded::Request { request, consumed: head });
            // Byte for byte, for the server half alone would forgive a write without this flag.
            let payload = mode == Mode::Extended && command == Command::Write;
            assert_eq!(sent[4..6], if payload { [0, 0x21] } else { [0, 0x01] }, "{mode} {command}");
        }
        assert_eq!(server.decode(&client.disconnect()), server::Decoded::Disconnect { consumed: head });
    }
    let (server, client) = sessions(server::Config::default(), wanted(), &Answers::everything());
    let mut request = Request::new(9, Command::BlockStatus, 512, 1024).with_flags(CommandFlags::REQ_ONE);
    request.contexts = ContextSet::NONE.with(1);
    let mut sent = Vec::new();
    client.encode_status(&request, &mut sent).unwrap();
    assert_eq!(server.decode(&sent), server::Decoded::Request { request, consumed: sent.len() });
}
