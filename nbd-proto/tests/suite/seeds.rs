// SPDX-License-Identifier: BSD-3-Clause
//! Good starting points for the fuzz targets: one input for each thing that there is to reach.

use nbd_proto::client::Config;
use nbd_proto::wire::{ChunkType, ClientFlags, Cmd, CommandFlags as F, ErrorCode, MAX_OPTION, Opt, Rep};
use nbd_proto::{Command, Mode, server};

use crate::fuzzed::client::{config, lookup};
use crate::fuzzed::pump::{Answers, pump, sessions};
use crate::raw::{contexts, info, message};

/// Inputs with names, for one target.
pub type Seeds = Vec<(String, Vec<u8>)>;

/// All targets, by name.
pub fn all() -> [(&'static str, Seeds); 3] {
    [("handshake", handshake()), ("transmission", transmission()), ("client", client())]
}

const ALLOWED: u8 = 2;
const REQUIRED: u8 = 3;
const OLDSTYLE: u8 = 4;
const REFUSE: u8 = 128;

fn handshake() -> Seeds {
    let infos = nbd_proto::wire::InfoType::ALL;
    let go = message(Opt::GO, &info(b"disk", infos));
    let set = message(Opt::SET_META_CONTEXT, &contexts(b"disk", &[b"base:allocation", b"x-test:y"]));
    let list_contexts = message(Opt::LIST_META_CONTEXT, &contexts(b"disk", &[b"base:"]));
    let plain = |option| message(option, &[]);
    let structured = plain(Opt::STRUCTURED_REPLY);
    let extended = plain(Opt::EXTENDED_HEADERS);
    let header = |len: u32| [&b"IHAVEOPT\0\0\0\x03"[..], &len.to_be_bytes()].concat();
    let export_name = message(Opt::EXPORT_NAME, b"disk");
    let every: Vec<u8> =
        Opt::ALL.iter().skip(2).chain([&Opt(99)]).flat_map(|opt| message(*opt, b"wrong")).collect();
    let seeds: Vec<(&str, u8, u32, Vec<Vec<u8>>)> = vec![
        ("go-simple", 0, 3, vec![go.clone()]),
        ("go-structured", 0, 3, vec![structured.clone(), set.clone(), go.clone()]),
        ("go-extended", 0, 3, vec![extended.clone(), set.clone(), list_contexts, go.clone()]),
        ("export-name", 0, 3, vec![plain(Opt::LIST), export_name.clone()]),
        ("export-name-old-client", 8, 0, vec![plain(Opt::LIST), export_name.clone()]),
        ("export-name-extended", 0, 3, vec![extended.clone(), export_name.clone()]),
        ("export-name-before-tls", REQUIRED, 3, vec![export_name.clone()]),
        ("export-name-with-nul", 0, 3, vec![message(Opt::EXPORT_NAME, b"a\0b")]),
        ("export-name-refused", REFUSE, 3, vec![plain(Opt::LIST), export_name]),
        ("info-abort", 0, 3, vec![message(Opt::INFO, &info(b"", infos)), plain(Opt::ABORT)]),
        ("tls", ALLOWED, 3, vec![structured.clone(), plain(Opt::STARTTLS), plain(Opt::STARTTLS), go.clone()]),
        ("tls-required", REQUIRED, 3, vec![go.clone(), plain(Opt::STARTTLS), go.clone()]),
        ("tls-off", 0, 3, vec![plain(Opt::STARTTLS)]),
        ("tls-unsupported", 1, 3, vec![plain(Opt::STARTTLS)]),
        ("oldstyle", OLDSTYLE, 0, vec![]),
        ("oldstyle-refused", OLDSTYLE | REFUSE, 0, vec![]),
        ("every-option-wrong", 0, 3, vec![every]),
        ("structured-after-extended", 0, 3, vec![extended, structured.clone(), set]),
        (
            "all-disabled",
            16 + 32 + 64,
            3,
            vec![structured, plain(Opt::EXTENDED_HEADERS), plain(Opt::LIST_META_CONTEXT)],
        ),
        ("too-big", 0, 3, vec![message(Opt::GO, &[0; 17_000])]),
        ("too-many", 0, 3, vec![plain(Opt::PEEK_EXPORT); 33]),
        ("absurd-length", 0, 3, vec![header(MAX_OPTION + 1)]),
        ("cut-short", 0, 3, vec![header(5)]),
        ("bad-magic", 0, 3, vec![b"GET / HTTP/1.1\r\n".to_vec()]),
        ("client-flags", 0, 0xff, vec![]),
        ("refuse-all", REFUSE, 3, vec![plain(Opt::LIST), go, plain(Opt::ABORT)]),
    ];
    let build = |(name, bits, flags, messages): (&str, u8, u32, Vec<Vec<u8>>)| {
        let flags = ClientFlags(flags).0.to_be_bytes();
        (name.to_owned(), [&[bits, 7][..], &flags, &messages.concat()].concat())
    };
    seeds.into_iter().map(build).collect()
}

fn request(mode: u8, flags: F, command: Cmd, offset: u64, len: u64, payload: &[u8]) -> Vec<u8> {
    let magic = if mode > 1 { 0x21e4_1c71u32 } else { 0x2560_9513 }.to_be_bytes();
    let head =
        [&magic[..], &flags.0.to_be_bytes(), &command.0.to_be_bytes(), b"cookies!", &offset.to_be_bytes()];
    let len = if mode > 1 { len.to_be_bytes().to_vec() } else { (len as u32).to_be_bytes().to_vec() };
    [head.concat(), len, payload.to_vec()].concat()
}

fn transmission() -> Seeds {
    let mut seeds = Seeds::new();
    for (mode, name) in [(0, "simple"), (1, "structured"), (2, "extended")] {
        let write = if mode > 1 { F::PAYLOAD_LEN } else { F::NONE };
        let request = |flags, command, offset, len| request(mode, flags, command, offset, len, &[]);
        let one_of_each = [
            self::request(mode, write | F::FUA, Cmd::WRITE, 512, 5, b"bytes"),
            request(if mode > 0 { F::DF } else { F::NONE }, Cmd::READ, 0, 512),
            request(F::NONE, Cmd::FLUSH, 0, 0),
            request(F::NONE, Cmd::TRIM, 512, 512),
            request(F::NONE, Cmd::CACHE, 512, 512),
            request(F::NO_HOLE | F::FAST_ZERO, Cmd::WRITE_ZEROES, 512, 512),
            request(F::NONE, Cmd::BLOCK_STATUS, 0, 1 << 20),
            request(F::REQ_ONE, Cmd::BLOCK_STATUS, 512, 1024),
            request(F::NONE, Cmd::RESIZE, 0, 0),
            request(F::NONE, Cmd::DISC, 0, 0),
        ]
        .concat();
        for (export, bits) in
            [("", 0), ("-read-only", 4), ("-incapable", 8), ("-no-contexts", 16), ("-huge", 32)]
        {
            seeds.push((format!("{name}{export}"), [&[mode | bits][..], &one_of_each].concat()));
        }
        let wrong = [
            request(F::NONE, Cmd::READ, 1 << 20, 1),
            request(F::NONE, Cmd::WRITE_ZEROES, 1 << 20, 1),
            request(F(0x8000), Cmd::READ, 0, 1),
            request(F::NONE, Cmd::READ, 0, 0),
        ];
        seeds.push((format!("{name}-wrong"), [&[mode][..], &wrong.concat()].concat()));
        let large = request(F::NONE, Cmd::READ, 0, (64 << 20) + 1);
        let fatal = request(write, Cmd::WRITE, 0, (128 << 20) + 1);
        seeds.push((format!("{name}-too-large"), [&[mode | 32][..], &large, &fatal].concat()));
        seeds.push((format!("{name}-bad-magic"), [&[mode][..], b"IHAVEOPT"].concat()));
    }
    let chosen = [&512u64.to_be_bytes()[..], &3u32.to_be_bytes()].concat();
    let twice = [&512u64.to_be_bytes()[..], &3u32.to_be_bytes(), &3u32.to_be_bytes()].concat();
    let status =
        |payload: &[u8]| request(2, F::PAYLOAD_LEN, Cmd::BLOCK_STATUS, 0, payload.len() as u64, payload);
    seeds.push(("extended-chosen".into(), [&[2][..], &status(&chosen), &status(&twice)].concat()));
    seeds
}

fn client() -> Seeds {
    let mut seeds = Seeds::new();
    let mut add =
        |name: &str, bits: u8, said: &[u8]| seeds.push((name.to_owned(), [&[bits, 5], said].concat()));
    // Every goal against a server that can do everything, with and without TLS.
    for (goal, name) in ["go", "export-name", "info", "list", "list-contexts"].into_iter().enumerate() {
        for (tls, with) in [(0, ""), (16, "-tls")] {
            let bits = goal as u8 | tls;
            let offered = server::Config::default().tls(server::Tls::Allowed);
            let outcome = pump(offered, config(bits), &Answers::everything(), usize::MAX);
            add(&format!("{name}{with}"), bits, &outcome.heard);
        }
    }
    let limited =
        server::Config::default().extended_headers(false).structured_replies(false).meta_contexts(false);
    let heard = |config: server::Config, wanted: Config| {
        pump(config, wanted, &Answers::everything(), usize::MAX).heard
    };
    add("all-refused", 8, &heard(limited.clone(), config(8)));
    add("tls-refused", 16, &heard(limited, config(16)));
    let oldstyle = || heard(server::Config::default().style(server::Style::Oldstyle), config(0));
    add("oldstyle", 0, &oldstyle());
    add("oldstyle-info", 2, &oldstyle());
    add("oldstyle-list", 3, &oldstyle());
    add("no-such-export", 1 + 64, b"NBDMAGICIHAVEOPT\0\x03");
    add("not-nbd", 0, b"SSH-2.0-OpenSSH_10.0");
    add("unknown-style", 0, b"NBDMAGICIHAVENOT");
    add("eof", 0, b"NBDMAGIC");
    let ack = |option: Opt| {
        [
            &0x3_e889_0455_65a9u64.to_be_bytes()[..],
            &option.0.to_be_bytes(),
            &Rep::ACK.0.to_be_bytes(),
            &[0; 4],
        ]
        .concat()
    };
    add("bad-reply", 32 + 64, &[b"NBDMAGICIHAVEOPT\0\x03", &ack(Opt::GO)[..]].concat());
    for (name, bits, mode) in [
        ("simple", 32 + 64, Mode::Simple),
        ("structured", 32, Mode::Structured),
        ("extended", 0, Mode::Extended),
    ] {
        let greeting =
            pump(server::Config::default(), config(bits), &Answers::everything(), usize::MAX).heard;
        add(&format!("replies-{name}"), bits, &[greeting.clone(), replies(bits, mode)].concat());
        for (fault, bytes) in faults(mode) {
            add(&format!("{fault}-{name}"), bits, &[greeting.clone(), bytes].concat());
        }
    }
    seeds
}

/// Every reply there is, to the requests that [`lookup`] knows.
fn replies(bits: u8, mode: Mode) -> Vec<u8> {
    let (server, _) = sessions(server::Config::default(), config(bits), &Answers::everything());
    let mut out = Vec::new();
    for (cookie, command) in (0u64..).zip(Command::ALL) {
        let request = lookup(cookie).unwrap();
        let tag = request.tag();
        server.error(tag, ErrorCode::EIO, "broken", &mut out);
        match command {
            Command::Read => {
                if let Some(chunks) = server.chunks() {
                    out.extend_from_slice(&chunks.data(tag, request.offset, 3, false));
                    out.extend_from_slice(b"abc");
                    out.extend_from_slice(&chunks.hole(tag, request.offset + 3, 9, false));
                    chunks.error_offset(tag, ErrorCode::EIO, "broken", request.offset, false, &mut out);
                    out.extend_from_slice(&chunks.done(tag));
                }
            }
            Command::BlockStatus => {
                server.block_status(&request, 1, [(512, 0), (1024, 3)], true, &mut out);
            }
            _ => out.extend_from_slice(&server.ok(tag)),
        }
    }
    if mode == Mode::Simple {
        // Last, for it has no end but the end of the data.
        out.extend_from_slice(&server.read(lookup(0).unwrap().tag(), 65536));
    }
    out
}

/// Replies that make no sense.
fn faults(mode: Mode) -> Vec<(&'static str, Vec<u8>)> {
    let simple = |cookie: u64| [&b"\x67\x44\x66\x98\0\0\0\0"[..], &cookie.to_be_bytes()].concat();
    let chunk = |kind: ChunkType, cookie: u64, payload: &[u8]| {
        let head = [&b"\x66\x8e\x33\xef\0\x01"[..], &kind.0.to_be_bytes(), &cookie.to_be_bytes()].concat();
        [head, (payload.len() as u32).to_be_bytes().to_vec(), payload.to_vec()].concat()
    };
    let mut faults = vec![("bad-magic", b"IHAVEOPT".to_vec())];
    if mode == Mode::Structured {
        faults.push(("unexpected-simple", simple(0)));
        faults.push(("unknown-cookie", simple(255)));
        faults.push(("unexpected-chunk", chunk(ChunkType::BLOCK_STATUS, 0, &[1; 12])));
        faults.push(("bad-length", chunk(ChunkType::NONE, 0, b"x")));
        faults.push(("bad-content", chunk(ChunkType::OFFSET_HOLE, 0, &[0; 12])));
    }
    faults
}
