// SPDX-License-Identifier: BSD-3-Clause
//! Every option with every size of payload.

use std::io;

use nbdkit_tests::Server;
use nbdkit_tests::raw::{Client, OptionReply, opt, option_head, rep};

use crate::victim;

/// All that the specification has, a reserved one, and some that never were.
const CODES: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 255, 1 << 31, u32::MAX];
const LIMIT: u32 = 64 << 20;

/// What became of an option.
#[derive(Debug)]
enum Fate {
    Closed,
    Answered(OptionReply),
    /// `NBD_OPT_EXPORT_NAME` has no reply but the export.
    Transmission,
}

/// Sends an option whose payload is `fill` `len` times, and reads what comes of it. Anything that is not the protocol panics.
fn fate(client: &mut Client, code: u32, len: u32, fill: u8) -> Fate {
    client.send(&option_head(code, len)).expect("the head of an option");
    let payload = vec![fill; len as usize];
    // The server may refuse in the midst of it.
    if client.send(&payload).is_err() {
        client.assert_closed("no more of the payload is taken");
        return Fate::Closed;
    }
    if code == opt::EXPORT_NAME {
        return match client.recv(10) {
            Ok(_) => Fate::Transmission,
            Err(_) => Fate::Closed,
        };
    }
    match client.answers(code) {
        Ok(mut replies) => Fate::Answered(replies.pop().unwrap()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            panic!("option {code} with {len} bytes of {fill:#x}: {error}")
        }
        Err(_) => Fate::Closed,
    }
}

fn try_option(server: &Server, code: u32, len: u32, fill: u8) {
    let mut client = server.connect();
    client.hello().unwrap();
    let fate = fate(&mut client, code, len, fill);
    let what = format!("option {code} with {len} bytes of {fill:#x}");
    match (code, fate) {
        // Over the limit the connection may be closed, and need not be.
        (_, Fate::Closed) if len > 4096 => {}
        (opt::ABORT, _) => client.assert_closed("after NBD_OPT_ABORT"),
        (opt::EXPORT_NAME, Fate::Transmission) => {
            assert!(len <= 4096 && fill != 0 || len == 0, "{what}: a name that cannot be is served");
            client.disconnect();
        }
        // Names with NUL, or not UTF-8, may be refused, and this option can only be refused by closing.
        (opt::EXPORT_NAME, Fate::Closed) => assert_ne!(len, 0, "{what}: the default export is refused"),
        (_, Fate::Closed) => panic!("{what}: the connection is closed"),
        (
            opt::LIST | opt::STARTTLS | opt::STRUCTURED_REPLY | opt::EXTENDED_HEADERS,
            Fate::Answered(reply),
        ) if len > 0 => {
            assert!(reply.is_error(), "{what}: {reply:?}");
            assert_still_negotiates(&mut client, &what);
        }
        (opt::INFO | opt::GO | opt::LIST_META_CONTEXT | opt::SET_META_CONTEXT, Fate::Answered(reply))
            if len < 6 =>
        {
            assert!(reply.is_error(), "{what}: {reply:?}");
            assert_still_negotiates(&mut client, &what);
        }
        // Six zeroes are a well-formed request for the default export.
        (opt::GO, Fate::Answered(_)) if (len, fill) == (6, 0) => client.disconnect(),
        (opt::GO, Fate::Answered(reply)) if !reply.is_error() => panic!("{what} is taken as an export name"),
        (0 | 4 | 12.., Fate::Answered(reply)) => {
            assert_eq!(reply.kind, rep::ERR_UNSUP, "{what}");
            assert_still_negotiates(&mut client, &what);
        }
        (_, Fate::Answered(_)) => assert_still_negotiates(&mut client, &what),
        (_, Fate::Transmission) => unreachable!(),
    }
    server.assert_serves();
}

/// The payload was consumed to the byte: the next option is understood.
#[track_caller]
fn assert_still_negotiates(client: &mut Client, what: &str) {
    let export = client.go(b"").unwrap_or_else(|error| panic!("after {what}: {error}"));
    assert!(export.is_ok(), "after {what}: {export:?}");
    client.set_style(nbdkit_tests::raw::Style::Simple);
}

#[test]
fn every_option_with_every_size_of_payload() {
    let server = victim();
    for code in CODES {
        for len in [0, 1, 2, 4, 5, 6, 7, 8, 4096, 65536] {
            for fill in [0, 1, 0xff] {
                try_option(&server, code, len, fill);
            }
        }
    }
}

#[test]
fn every_option_over_the_limit() {
    let server = victim();
    for code in CODES {
        for len in [LIMIT + 1, 1 << 31, u32::MAX] {
            let mut client = server.connect();
            client.hello().unwrap();
            client.send(&option_head(code, len)).unwrap();
            // A good start, as a client has that means it.
            let _ = client.send(&[0; 65536]);
            client.finish_sending();
            client.assert_closed(&format!("option {code} of {len} bytes"));
            server.assert_serves();
        }
    }
}

#[test]
fn every_option_at_the_limit() {
    let server = victim();
    for code in [opt::EXPORT_NAME, opt::LIST, opt::GO, opt::SET_META_CONTEXT, 255] {
        try_option(&server, code, LIMIT, 0);
    }
}

#[test]
fn options_in_any_order() {
    // What depends on something else is refused when that is missing, and works once it is there.
    let server = victim();
    let query = nbdkit_tests::raw::meta_payload(b"", b"base:allocation");
    let mut client = server.connect();
    client.hello().unwrap();
    assert!(
        client.verdict(opt::SET_META_CONTEXT, &query).unwrap().is_error(),
        "contexts without structured replies"
    );
    assert_eq!(client.verdict(opt::STRUCTURED_REPLY, &[]).unwrap().kind, rep::ACK);
    assert_eq!(client.verdict(opt::SET_META_CONTEXT, &query).unwrap().kind, rep::ACK);
    // Twice is a mistake which the specification lets the server answer as it likes.
    client.verdict(opt::STRUCTURED_REPLY, &[]).unwrap();
    assert!(client.go(b"").unwrap().is_ok());
    server.assert_serves();
}
