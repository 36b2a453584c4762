// SPDX-License-Identifier: BSD-3-Clause
//! Any client against the server half of transmission; every reply goes through the client half.

use nbd_proto::client::Reply;
use nbd_proto::server::Decoded;
use nbd_proto::wire::{ChunkType, ErrorCode, MAX_DISCARD, TransmissionFlags};
use nbd_proto::{Command, ExportInfo, Mode, Request, client, server};

use super::Seen;
use super::pump::{Answers, sessions};

/// The first byte: bits 0-1 mode, 2 read-only, 3 an export that can do nothing, 4 no meta contexts, 5 an
/// export of 8 EiB. The rest are requests; the payload of writes is expected among them.
pub fn transmission(data: &[u8], seen: &mut Seen) {
    let [bits, input @ ..] = data else { return };
    let (server, client) = open(*bits);
    let mut rest = input;
    loop {
        let decoded = server.decode(rest);
        seen.note("decoded", &decoded);
        let (consumed, payload) = match &decoded {
            Decoded::NeedInput(bytes) => {
                assert!(*bytes > rest.len() && *bytes <= 168, "needs {bytes} of {}", rest.len());
                return;
            }
            Decoded::Disconnect { consumed } => (*consumed, 0),
            Decoded::Request { request, consumed } => {
                seen.note("command", &request.command);
                check(&server, request);
                answer(&server, &client, request, seen);
                (*consumed, request.payload())
            }
            Decoded::Refuse { refusal, consumed } => {
                seen.note("refused", &refusal.error);
                seen.note("refused", &refusal.command);
                assert!(refusal.payload_to_skip <= MAX_DISCARD);
                // The client only ever sees the refusal of a command that it can send.
                let command = Command::from_wire(refusal.command).unwrap_or(Command::Flush);
                let request = Request::new(refusal.tag.cookie, command, refusal.tag.offset, 1);
                let mut reply = Vec::new();
                server.error(refusal.tag, refusal.error, refusal.message, &mut reply);
                expect_error(&client, &request, &reply, refusal.error, refusal.message, seen);
                (*consumed, refusal.payload_to_skip)
            }
            Decoded::Fatal(why) => {
                seen.note("fatal", why);
                return;
            }
        };
        let end = consumed.saturating_add(payload as usize).min(rest.len());
        assert!(consumed > 0, "decoding goes on");
        rest = &rest[end..];
    }
}

fn open(bits: u8) -> (server::Session, client::Session) {
    let mode = bits & 3;
    let mut answers = Answers::everything();
    if bits & 4 != 0 {
        answers.export.flags |= TransmissionFlags::READ_ONLY;
    }
    if bits & 8 != 0 {
        answers.export = ExportInfo::new(answers.export.size, TransmissionFlags::NONE);
    }
    if bits & 32 != 0 {
        answers.export.size = i64::MAX as u64;
    }
    let mut config = client::Config::new("disk").structured_replies(mode > 0).extended_headers(mode > 1);
    if bits & 16 == 0 {
        config = answers.contexts.iter().fold(config, |config, name| config.context(*name));
    }
    sessions(server::Config::default(), config, &answers)
}

/// What holds for every request that is let through.
fn check(server: &server::Session, request: &Request) {
    let end = request.offset.checked_add(request.len).expect("the range ends");
    assert!(end <= server.size());
    assert!(request.flags.unknown().is_empty());
    match request.command {
        Command::Flush => assert_eq!((request.offset, request.len), (0, 0)),
        Command::Read | Command::Write => {
            assert!((1..=u64::from(server.max_payload())).contains(&request.len))
        }
        Command::BlockStatus => assert!(server.contexts_of(request).count() > 0 && request.len > 0),
        _ => assert!(request.len > 0),
    }
    assert!(!(request.command.writes() && server.flags().contains(TransmissionFlags::READ_ONLY)));
}

/// Sends every kind of reply that fits the request, and sees whether the client half understands it.
fn answer(server: &server::Session, client: &client::Session, request: &Request, seen: &mut Seen) {
    let tag = request.tag();
    let mut out = Vec::new();
    server.error(tag, ErrorCode::EIO, "broken", &mut out);
    expect_error(client, request, &out, ErrorCode::EIO, "broken", seen);
    if let Some(chunks) = server.chunks() {
        expect(client, request, &chunks.done(tag), &Reply::Done, true, seen);
        let mut out = Vec::new();
        chunks.error_offset(tag, ErrorCode::EIO, "broken", request.offset, false, &mut out);
        let message = if server.mode() == Mode::Simple { "" } else { "broken" };
        let error = Reply::Error { code: ErrorCode::EIO, message, offset: Some(request.offset) };
        expect(client, request, &out, &error, false, seen);
    }
    match request.command {
        Command::Read => {
            let (offset, len) = (request.offset, request.len as u32);
            expect(client, request, &server.read(tag, len), &Reply::Data { offset, len }, true, seen);
            if let Some(chunks) = server.chunks() {
                let (offset, len) = (offset + u64::from(len) - 1, 1);
                expect(
                    client,
                    request,
                    &chunks.data(tag, offset, len, false),
                    &Reply::Data { offset, len },
                    false,
                    seen,
                );
                expect(
                    client,
                    request,
                    &chunks.hole(tag, offset, len, true),
                    &Reply::Hole { offset, len },
                    true,
                    seen,
                );
            }
        }
        Command::BlockStatus => status(server, client, request, seen),
        _ => expect(client, request, &server.ok(tag), &Reply::Done, true, seen),
    }
}

fn status(server: &server::Session, client: &client::Session, request: &Request, seen: &mut Seen) {
    let extents = [(0, 9), (1, 0), (2, 0), (u64::MAX / 4, 3), (7, 1), (u64::MAX / 2, 0)];
    for context in server.contexts_of(request) {
        let mut out = Vec::new();
        server.block_status(request, context.id, extents, true, &mut out);
        let client::Decoded::Reply { reply: Reply::Status { context: id, extents }, consumed, .. } =
            client.decode(&out, |_| Some(*request))
        else {
            panic!("no status: {out:02x?}");
        };
        seen.note_text("sent", &kind(server.mode(), &out));
        assert_eq!((id, consumed), (context.id, out.len()));
        let lengths: Vec<u64> = extents.map(|(len, _)| len).collect();
        let all_but_last: u64 = lengths[..lengths.len() - 1].iter().sum();
        assert!(all_but_last < request.len, "only the last extent may reach past the request");
        assert!(request.offset + lengths.iter().sum::<u64>() <= server.size(), "extents end with the export");
    }
}

fn expect(
    client: &client::Session,
    request: &Request,
    bytes: &[u8],
    reply: &Reply<'_>,
    last: bool,
    seen: &mut Seen,
) {
    seen.note_text("sent", &kind(client.mode(), bytes));
    let cookie = request.cookie;
    let expected = client::Decoded::Reply { cookie, reply: reply.clone(), last, consumed: bytes.len() };
    assert_eq!(client.decode(bytes, |_| Some(*request)), expected, "{bytes:02x?}");
    for short in 0..bytes.len() {
        let client::Decoded::NeedInput(more) = client.decode(&bytes[..short], |_| Some(*request)) else {
            panic!("{short} bytes of {} are not enough", bytes.len());
        };
        assert!(more > short && more <= bytes.len());
    }
}

fn expect_error(
    client: &client::Session,
    request: &Request,
    bytes: &[u8],
    code: ErrorCode,
    message: &str,
    seen: &mut Seen,
) {
    let message = if client.mode() == Mode::Simple { "" } else { message };
    expect(client, request, bytes, &Reply::Error { code, message, offset: None }, true, seen);
}

/// What the reply is on the wire.
fn kind(mode: Mode, bytes: &[u8]) -> String {
    if bytes[..4] == nbd_proto::wire::SIMPLE_REPLY.to_be_bytes() {
        return "SIMPLE".into();
    }
    let kind = ChunkType(u16::from_be_bytes([bytes[6], bytes[7]]));
    format!("{mode:?}_{kind}")
}
