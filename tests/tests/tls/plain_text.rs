// SPDX-License-Identifier: BSD-3-Clause
//! What is said before TLS counts for nothing after it, and where TLS is required nothing else is to be had.

use std::fs;
use std::io::{Read, Write};

use nbdkit_tests::raw::{
    ACK, BOTH_FLAGS, cmd, err, go_payload, greeting_flags, meta_payload, opt, option, option_head, rep,
    simple,
};
use nbdkit_tests::{Server, until};

use crate::client::{Tls, agreed, connector};
use crate::credentials::Folder;

const ERR_TLS_REQD: u32 = rep::ERROR | 5;
const ERR_POLICY: u32 = rep::ERROR | 2;
const SIMPLE_REPLY: u32 = 0x6744_6698;

fn serve(folder: &Folder, tls: &str, more: &[&str]) -> Server {
    let mut args = vec![tls.to_owned(), folder.option()];
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    Server::start(args)
}

/// A request of 28 bytes on an export that was chosen in TLS is answered by a simple reply: its error.
fn simple_reply(tls: &mut Tls, command: u16, len: u32) -> u32 {
    tls.write_all(&simple(0, command, 7, 0, len)).unwrap();
    let mut head = [0; 16];
    tls.read_exact(&mut head).unwrap();
    assert_eq!(u32::from_be_bytes(head[..4].try_into().unwrap()), SIMPLE_REPLY);
    u32::from_be_bytes(head[4..8].try_into().unwrap())
}

#[test]
fn what_was_agreed_before_is_forgotten() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, "--tls=on", &["memory", "1M"]);
    let context = meta_payload(b"", b"base:allocation");

    for mode in [opt::STRUCTURED_REPLY, opt::EXTENDED_HEADERS] {
        let mut client = server.connect();
        client.hello().unwrap();
        assert_eq!(client.verdict(mode, &[]).unwrap().kind, ACK);
        assert_eq!(client.ask(opt::SET_META_CONTEXT, &context).unwrap().len(), 2);
        assert_eq!(client.verdict(opt::STARTTLS, &[]).unwrap().kind, ACK);
        let mut tls = Tls::over(client, &connector(&folder, "TLS1.3"));
        tls.handshake().unwrap();

        // Selecting wants chunks, which have to be agreed on anew.
        assert_eq!(tls.ask(opt::SET_META_CONTEXT, &context).0, rep::ERR_INVALID);
        assert_eq!(tls.ask(opt::GO, &go_payload(b"")).0, ACK);
        assert_eq!(simple_reply(&mut tls, cmd::BLOCK_STATUS, 512), err::EINVAL);
        assert_eq!(simple_reply(&mut tls, cmd::READ, 512), 0);
        tls.read_exact(&mut [0; 512]).unwrap();
    }

    // The selection alone, when chunks are agreed on again.
    let mut client = server.connect();
    client.hello().unwrap();
    client.verdict(opt::STRUCTURED_REPLY, &[]).unwrap();
    client.ask(opt::SET_META_CONTEXT, &context).unwrap();
    client.verdict(opt::STARTTLS, &[]).unwrap();
    let mut tls = Tls::over(client, &connector(&folder, "TLS1.3"));
    tls.handshake().unwrap();
    assert_eq!(tls.ask(opt::STRUCTURED_REPLY, &[]).0, ACK);
    assert_eq!(tls.ask(opt::GO, &go_payload(b"")).0, ACK);
    tls.write_all(&simple(0, cmd::BLOCK_STATUS, 7, 0, 512)).unwrap();
    let mut chunk = [0; 20];
    tls.read_exact(&mut chunk).unwrap();
    // An error chunk: nothing was selected.
    assert_eq!(u16::from_be_bytes(chunk[6..8].try_into().unwrap()) & (1 << 15), 1 << 15);
}

#[test]
fn so_is_the_name_of_an_export() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, "--tls=on", &["info", "exportname"]);
    let mut client = server.connect();
    client.hello().unwrap();
    client.verdict(opt::STRUCTURED_REPLY, &[]).unwrap();
    client.ask(opt::SET_META_CONTEXT, &meta_payload(b"before", b"base:allocation")).unwrap();
    assert_eq!(client.verdict(opt::INFO, &go_payload(b"before")).unwrap().kind, ACK);
    client.verdict(opt::STARTTLS, &[]).unwrap();
    let mut tls = Tls::over(client, &connector(&folder, "TLS1.3"));
    tls.handshake().unwrap();
    // The disk is the name of the export: there is none.
    tls.write_all(&option(opt::EXPORT_NAME, b"")).unwrap();
    let mut size = [0; 8];
    tls.read_exact(&mut size).unwrap();
    assert_eq!(u64::from_be_bytes(size), 0);
}

#[test]
fn bytes_that_came_with_starttls_are_not_accepted() {
    let (folder, _) = Folder::complete();
    let go = option(opt::GO, &go_payload(b"injected"));
    let hello = connector(&folder, "TLS1.3").connect("localhost").unwrap().output().to_owned();
    for behind in [&go[..], &go[..1], &option(opt::LIST, &[]), &hello] {
        let server = serve(&folder, "--tls=on", &["-v", "memory", "1M"]);
        let mut client = server.connect();
        greeting_flags(&mut client).unwrap();
        // In one piece, so that the server finds them together.
        client.send(&[&BOTH_FLAGS.to_be_bytes()[..], &option(opt::STARTTLS, &[]), behind].concat()).unwrap();
        client.assert_closed("bytes in plain text behind NBD_OPT_STARTTLS");
        let line = format!(
            "error: client sent {} bytes in plain text behind NBD_OPT_STARTTLS, without waiting for the answer\n",
            behind.len()
        );
        until("the log line", || server.stderr().contains(&line));
        assert!(!server.stderr().contains("debug: memory: open "), "{}", server.stderr());
        server.assert_serves();
    }
}

#[test]
fn bytes_that_come_in_place_of_tls_are_not_accepted() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, "--tls=on", &["memory", "1M"]);
    for bytes in [&option(opt::GO, &go_payload(b""))[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 64], &[0xff; 64]] {
        let mut client = agreed(&server);
        client.send(bytes).unwrap();
        let answer = client.recv(7).unwrap();
        // A record of one alert, which is fatal (RFC 8446, section 6).
        assert_eq!((answer[0], answer[5]), (21, 2), "{answer:?}");
        client.assert_closed("no TLS");
    }
    until("four lines in the log", || server.stderr().matches("error: TLS handshake failed: ").count() == 4);
    server.assert_serves();
}

#[test]
fn who_has_more_to_say_still_learns_why_it_was_refused() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, "--tls=on", &["memory", "1M"]);
    let mut client = agreed(&server);
    // More than the socket holds: if nobody took it, sending would fail, and the alert be lost.
    client.send_zeroes(900_000).unwrap();
    assert_eq!(client.recv(7).unwrap()[0], 21);
    client.finish_sending();
    client.assert_closed("no TLS");
}

#[test]
fn where_tls_is_required_nothing_else_is_to_be_had() {
    let (folder, _) = Folder::complete();
    let trace = folder.path().join("trace");
    let say = |what: &str| format!("{what}=echo {what} >> {}; exit 2", trace.display());
    let (open, list, default) = (say("open"), say("list_exports"), say("default_export"));
    let server = serve(
        &folder,
        "--tls=require",
        &["eval", "get_size=echo 512", "pread=exit 1", &open, &list, &default],
    );
    let mut client = server.connect();
    client.hello().unwrap();
    let others = [0, 4, 12, 0x1234_5678, u32::MAX];
    let known = [opt::LIST, opt::INFO, opt::GO, opt::STRUCTURED_REPLY, opt::LIST_META_CONTEXT];
    let known = known.into_iter().chain([opt::SET_META_CONTEXT, opt::EXTENDED_HEADERS]);
    // Longer than what is kept of an option, too: it is thrown away, and the next one is understood.
    for (i, code) in known.chain(others).enumerate() {
        for payload in [&[][..], &go_payload(b"")] {
            let reply = client.verdict(code, payload).unwrap();
            assert_eq!(reply.kind, ERR_TLS_REQD, "option {code}: {reply:?}");
        }
        if i % 4 == 0 {
            client.send(&option_head(code, 100_000)).unwrap();
            client.send_zeroes(100_000).unwrap();
            assert_eq!(client.answers(code).unwrap()[0].kind, ERR_TLS_REQD, "option {code}");
        }
    }
    // And then TLS is still to be had.
    assert_eq!(client.verdict(opt::STARTTLS, &[]).unwrap().kind, ACK);
    Tls::over(client, &connector(&folder, "TLS1.2")).handshake().unwrap();

    let mut client = server.connect();
    client.hello().unwrap();
    client.send(&option(opt::EXPORT_NAME, b"")).unwrap();
    client.assert_closed("NBD_OPT_EXPORT_NAME where TLS is required");

    let mut client = server.connect();
    client.hello().unwrap();
    assert_eq!(client.verdict(opt::ABORT, &[]).unwrap().kind, ACK);
    client.assert_closed("after NBD_OPT_ABORT");
    assert!(!trace.exists(), "the plugin was asked to {}", fs::read_to_string(&trace).unwrap());
}

#[test]
fn starttls_takes_no_payload_and_no_second_time() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, "--tls=require", &["memory", "1M"]);
    let mut client = server.connect();
    client.hello().unwrap();
    for len in [1, 4, 5000, 100_000] {
        client.send(&option_head(opt::STARTTLS, len)).unwrap();
        client.send_zeroes(len.into()).unwrap();
        assert_eq!(client.answers(opt::STARTTLS).unwrap()[0].kind, rep::ERR_INVALID, "{len} bytes");
    }
    assert_eq!(client.verdict(opt::STARTTLS, &[]).unwrap().kind, ACK);
    let mut tls = Tls::over(client, &connector(&folder, "TLS1.3"));
    tls.handshake().unwrap();
    for payload in [&[][..], &[0; 9]] {
        assert_eq!(tls.ask(opt::STARTTLS, payload).0, rep::ERR_INVALID);
    }
    assert_eq!(tls.ask(opt::GO, &go_payload(b"")).0, ACK);
    assert_eq!(simple_reply(&mut tls, cmd::FLUSH, 0), 0);
}

#[test]
fn without_tls_starttls_is_refused() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, "--tls=off", &["memory", "1M"]);
    let mut client = server.connect();
    client.hello().unwrap();
    assert_eq!(client.verdict(opt::STARTTLS, &[]).unwrap().kind, ERR_POLICY);
    assert_eq!(client.go(b"").unwrap().unwrap().size, 1 << 20);
}

#[test]
fn where_tls_is_allowed_others_are_served_too() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, "--tls=on", &["memory", "1M"]);
    server.assert_serves();
    let mut tls = Tls::connect(&server, &folder);
    let (kind, data) = tls.ask(opt::GO, &go_payload(b""));
    assert_eq!(kind, ACK, "{data:?}");
    assert_eq!(simple_reply(&mut tls, cmd::READ, 1), 0);
}
