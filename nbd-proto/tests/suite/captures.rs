// SPDX-License-Identifier: BSD-3-Clause
//! What real clients and servers said to each other, replayed: the client's bytes to the server half, the
//! server's bytes to the client half, both in step. The outcome is compared with a transcript beside the
//! bytes.
//!
//! With `BLESS=1` in the environment the transcripts are written anew; read the difference before believing
//! it.

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs};

use nbd_proto::client::{self, Goal};
use nbd_proto::server::{self, Decoded, Style};
use nbd_proto::wire::HandshakeFlags;
use nbd_proto::{Command, ExportInfo, Request};

use crate::fuzzed::pump::Answers;

fn file(name: &str, ending: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(format!("{name}.{ending}"))
}

fn bytes(name: &str, ending: &str) -> Vec<u8> {
    fs::read(file(name, ending)).unwrap_or_else(|error| panic!("{name}.{ending}: {error}"))
}

fn compare(name: &str, transcript: &str) {
    let path = file(name, "txt");
    if env::var_os("BLESS").is_some() {
        fs::write(&path, transcript).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), transcript, "{}", path.display());
}

/// The server half with a client's bytes: how it ended, and what is left.
fn server_half<'a>(
    config: server::Config,
    export: &ExportInfo,
    mut input: &'a [u8],
    transcript: &mut String,
) -> (server::Step, &'a [u8]) {
    let mut handshake = server::Handshake::new(config);
    let answers =
        Answers { export: export.clone(), contexts: vec!["base:allocation"], ..Answers::everything() };
    loop {
        match handshake.step() {
            server::Step::NeedInput if input.is_empty() => handshake.eof(),
            server::Step::NeedInput => input = &input[handshake.feed(input)..],
            server::Step::Send => drop(handshake.take_output()),
            server::Step::Ask(ask) => {
                writeln!(transcript, "ask {ask:?}").unwrap();
                answers.answer(&mut handshake, &ask);
            }
            step => return (step, input),
        }
    }
}

/// The client half with a server's bytes: the session, and what is left.
fn client_half<'a>(
    config: client::Config,
    mut input: &'a [u8],
    transcript: &mut String,
) -> (client::Session, &'a [u8]) {
    let mut handshake = client::Handshake::new(config);
    loop {
        match handshake.step() {
            client::Step::NeedInput if input.is_empty() => handshake.eof(),
            client::Step::NeedInput => input = &input[handshake.feed(input)..],
            client::Step::Send => drop(handshake.take_output()),
            client::Step::Event(event) => writeln!(transcript, "event {event:?}").unwrap(),
            client::Step::Done(session) => return (session, input),
            step => panic!("{step:?}"),
        }
    }
}

/// All of a connection whose client waits for each reply before it goes on.
fn conversation(name: &str, wanted: client::Config, offered: server::Config) {
    let (said, heard) = (bytes(name, "client"), bytes(name, "server"));
    let mut transcript = String::new();
    let (client, mut heard) = client_half(wanted, &heard, &mut transcript);
    writeln!(transcript, "export {:?}", client.export()).unwrap();
    let (step, mut said) = server_half(offered, client.export(), &said, &mut transcript);
    let server::Step::Done(server) = step else { panic!("{name}: {step:?}") };
    assert_eq!(client.mode(), server.mode());
    assert_eq!(client.contexts().len(), server.contexts().len());
    writeln!(transcript, "{}, {} context(s)", client.mode(), client.contexts().len()).unwrap();

    loop {
        let request = match server.decode(said) {
            Decoded::Request { request, consumed } => {
                let Request { command, flags, offset, len, .. } = request;
                writeln!(transcript, "{command} {flags} at {offset} for {len}").unwrap();
                said = &said[consumed + request.payload() as usize..];
                request
            }
            Decoded::Refuse { refusal, consumed } => {
                let (command, error) = (refusal.command, refusal.error);
                writeln!(transcript, "{command} refused: {error}, {}", refusal.message).unwrap();
                said = &said[consumed + refusal.payload_to_skip as usize..];
                let command = Command::from_wire(command).unwrap();
                Request::new(refusal.tag.cookie, command, refusal.tag.offset, 1)
            }
            Decoded::Disconnect { consumed } => {
                said = &said[consumed..];
                writeln!(transcript, "disconnect").unwrap();
                break;
            }
            other => panic!("{name}: {other:?} of {} bytes\n{transcript}", said.len()),
        };
        heard = replies(&client, &request, heard, &mut transcript);
    }
    assert_eq!((said.len(), heard.len()), (0, 0), "{name}: all of it was understood");
    compare(name, &transcript);
}

fn replies<'a>(
    client: &client::Session,
    request: &Request,
    mut heard: &'a [u8],
    transcript: &mut String,
) -> &'a [u8] {
    loop {
        let decoded = client.decode(heard, |cookie| (cookie == request.cookie).then_some(*request));
        let client::Decoded::Reply { reply, last, consumed, .. } = decoded else {
            panic!("{decoded:?} of {} bytes\n{transcript}", heard.len());
        };
        writeln!(transcript, "    {reply:?}").unwrap();
        let data = if let client::Reply::Data { len, .. } = reply { len as usize } else { 0 };
        heard = &heard[consumed + data..];
        if last {
            return heard;
        }
    }
}

fn libnbd() -> client::Config {
    client::Config::new("").context("base:allocation").extended_headers(false)
}

#[test]
fn libnbd_and_nbdkit() {
    let offered = server::Config::default();
    conversation("libnbd-nbdkit", libnbd(), offered.clone());
    conversation("libnbd-nbdkit-simple", libnbd(), offered.clone().structured_replies(false));
    let none = offered.clone().handshake_flags(HandshakeFlags::NONE);
    conversation("libnbd-nbdkit-exportname", libnbd(), none);
    conversation("libnbd-nbdkit-oldstyle", libnbd(), offered.style(Style::Oldstyle));
}

#[test]
fn libnbd_and_qemu() {
    conversation("libnbd-qemu", libnbd(), server::Config::default());
}

#[test]
fn qemu_and_qemu_with_extended_headers() {
    let qemu = client::Config::new("").context("base:allocation");
    conversation("qemu-qemu", qemu.clone(), server::Config::default());
    conversation("qemu-qemu-big", qemu, server::Config::default());
}

#[test]
fn qemu_and_nbdkit() {
    let qemu = client::Config::new("").context("base:allocation");
    conversation("qemu-nbdkit", qemu, server::Config::default().extended_headers(false));
}

/// Clients that only ask: the server half hears them out.
#[test]
fn clients_that_list() {
    for name in ["nbdinfo-nbdkit", "qemulist-qemu", "nbdclient-nbdkit"] {
        let mut transcript = String::new();
        let export = Answers::everything().export;
        let said = bytes(name, "client");
        let (step, rest) = server_half(server::Config::default(), &export, &said, &mut transcript);
        assert_eq!((step, rest.len()), (server::Step::Abort(server::Abort::Client), 0), "{name}");
        compare(name, &transcript);
    }
}

/// A server that lists, to a client that asked in the same words as this one does.
#[test]
fn servers_that_list() {
    let heard = bytes("nbdclient-nbdkit", "server");
    let mut handshake = client::Handshake::new(client::Config::new("").goal(Goal::List));
    let (mut rest, mut names) = (&heard[..], Vec::new());
    loop {
        match handshake.step() {
            client::Step::NeedInput => rest = &rest[handshake.feed(rest)..],
            client::Step::Send => drop(handshake.take_output()),
            client::Step::Event(client::Event::Export { name, .. }) => names.push(name),
            client::Step::Finished => return assert_eq!((names, rest.len()), (vec![String::new()], 0)),
            step => panic!("{step:?}"),
        }
    }
}
