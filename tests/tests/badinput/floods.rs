// SPDX-License-Identifier: BSD-3-Clause
//! Too much of what is allowed: options without end, contexts without end, a crowd of small requests.

use nbdkit_tests::raw::{Client, cmd, go_payload, opt, option};

use crate::{SIZE, victim};

/// A patient server would still be at it after this many.
const MANY: usize = 10_000;

/// Repeats an option until the server closes. Returns how often, or `None` if it took [`MANY`].
fn repeat(client: &mut Client, code: u32, payload: &[u8]) -> Option<usize> {
    (0..MANY).find(|_| client.ask(code, payload).is_err())
}

#[test]
fn options_cannot_be_repeated_without_end() {
    let server = victim();
    for (code, payload) in [
        (opt::LIST, vec![]),
        (opt::INFO, go_payload(b"")),
        (opt::STRUCTURED_REPLY, vec![]),
        (opt::LIST_META_CONTEXT, [0; 8].to_vec()),
        (opt::STARTTLS, vec![]),
        (255, vec![]),
        (255, vec![0; 4096]),
    ] {
        let mut client = server.connect();
        client.hello().unwrap();
        let ended = repeat(&mut client, code, &payload);
        assert!(ended.is_some(), "option {code} is answered {MANY} times");
        server.assert_serves();
    }
}

#[test]
fn options_sent_blindly_are_survived() {
    // Never reading a reply: the server must not collect them.
    let server = victim();
    let mut client = server.connect();
    client.hello().unwrap();
    let burst: Vec<u8> = option(opt::LIST, &[]).repeat(1000);
    for _ in 0..100 {
        if client.send_some(&burst).is_err() {
            break;
        }
    }
    server.assert_serves();
    client.finish_sending();
    client.assert_closed("a flood of options");
    server.assert_serves();
}

#[test]
fn a_hundred_thousand_queries_in_one_option() {
    let server = victim();
    let mut client = server.connect();
    client.hello().unwrap();
    client.verdict(opt::STRUCTURED_REPLY, &[]).unwrap();
    let count = 100_000_u32;
    let query = [&15_u32.to_be_bytes()[..], b"base:allocation"].concat();
    let payload = [&[0; 4][..], &count.to_be_bytes(), &query.repeat(count as usize)].concat();
    // Refused, closed or answered: what comes must be the protocol, and must come to an end.
    match client.ask(opt::SET_META_CONTEXT, &payload) {
        Ok(_) => assert!(client.go(b"").unwrap().is_ok()),
        Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::InvalidData, "{error}"),
    }
    server.assert_serves();
}

#[test]
fn a_hundred_thousand_requests_in_a_row() {
    let server = victim();
    let mut client = server.connect();
    client.structured("");
    let mut left = 100_000;
    // Out of range each: nothing but errors. No more at a time than both sockets hold, as nobody reads meanwhile.
    while left > 0 {
        for _ in 0..100 {
            client.request(cmd::READ, 0, SIZE, 512).unwrap();
        }
        for _ in 0..100 {
            assert!(client.reply().unwrap().error().is_some());
        }
        left -= 100;
    }
    client.disconnect();
    server.assert_serves();
}
