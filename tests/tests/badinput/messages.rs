// SPDX-License-Identifier: BSD-3-Clause
//! Who made a mistake is told what it was: the value, and what would be right.

use nbdkit_tests::raw::{ACK, Client, cmd, go_payload, greeting_flags, opt, option_head, rep, simple};
use nbdkit_tests::{Feature, Server, supports};

use crate::{SIZE, victim};

/// Runs a case against a fresh server and checks that its standard error has all of `words`, of each one spelling: `a|b`.
#[track_caller]
fn logged(words: &[&str], case: impl FnOnce(&mut Client)) {
    if !supports(Feature::ErrorText) {
        return;
    }
    let server = victim();
    let mut client = server.connect();
    case(&mut client);
    client.finish_sending();
    client.assert_closed("after a mistake");
    drop(client);
    server.assert_serves();
    let stderr = server.stderr();
    for word in words {
        assert!(word.split('|').any(|spelling| stderr.contains(spelling)), "no {word:?} in {stderr:?}");
    }
    assert_well_formed(&server);
}

#[track_caller]
fn assert_well_formed(server: &Server) {
    for line in server.stderr().lines() {
        assert!(line.starts_with("nbdkit: ") && line.contains("error: "), "not an error message: {line:?}");
    }
}

#[test]
fn wrong_client_flags_are_logged_with_their_value() {
    logged(&["0x80000003|0x80000000"], |client| {
        greeting_flags(client).unwrap();
        client.send(&0x8000_0003_u32.to_be_bytes()).unwrap();
    });
}

#[test]
fn a_wrong_option_magic_is_logged_with_both_values() {
    logged(&["0x0123456789abcdef", "0x49484156454f5054|IHAVEOPT"], |client| {
        client.hello().unwrap();
        client.send(&0x0123_4567_89ab_cdef_u64.to_be_bytes()).unwrap();
        let _ = client.send(&[0; 8]);
    });
}

#[test]
fn an_option_over_the_limit_is_logged_with_both_lengths() {
    logged(&["67108865", "67108864"], |client| {
        client.hello().unwrap();
        client.send(&option_head(255, (64 << 20) + 1)).unwrap();
    });
}

#[test]
fn a_wrong_request_magic_is_logged_with_both_values() {
    logged(&["0xdeadbeef", "0x25609513"], |client| {
        client.structured("");
        let mut request = simple(0, cmd::READ, 1, 0, 512);
        request[..4].copy_from_slice(&0xdead_beef_u32.to_be_bytes());
        client.send(&request).unwrap();
    });
}

#[test]
fn a_request_out_of_range_is_logged_with_its_numbers() {
    let size = SIZE.to_string();
    logged(&["4242", "67108800", &size], |client| {
        client.structured("");
        client.read(67_108_800, 4242).unwrap_err();
    });
}

#[test]
fn an_unknown_command_or_flag_is_logged_with_its_number() {
    logged(&["4711|0x1267"], |client| {
        client.structured("");
        client.call(4711, 0, 0, 512).unwrap_err();
    });
    logged(&["0x4000"], |client| {
        client.structured("");
        client.call(cmd::READ, 0x4000, 0, 512).unwrap_err();
    });
}

#[test]
fn a_refused_option_tells_the_client_why() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let server = victim();
    let mut client = server.connect();
    client.hello().unwrap();
    let reply = client.verdict(opt::GO, &go_payload(&[b'x'; 4097])).unwrap();
    assert_eq!(reply.kind, rep::ERR_INVALID);
    assert!(reply.text().contains("4097") && reply.text().contains("4096"), "{:?}", reply.text());
    let reply = client.verdict(opt::GO, &go_payload(b"a\0b")).unwrap();
    assert!(reply.is_error() && !reply.text().is_empty(), "{reply:?}");
    let reply = client.verdict(4242, &[]).unwrap();
    assert_eq!(reply.kind, rep::ERR_UNSUP);
    assert!(reply.text().contains("4242") || reply.text().contains("0x1092"), "{:?}", reply.text());
    let reply = client.verdict(opt::LIST, b"abc").unwrap();
    assert_eq!(reply.kind, rep::ERR_INVALID);
    assert!(reply.text().contains('3'), "{:?}", reply.text());
    // An old text does not stick to what is no error.
    assert_eq!(client.verdict(opt::LIST, &[]).unwrap().kind, ACK);
    server.assert_serves();
}

#[test]
fn a_missing_export_tells_the_client_its_name() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = nbdkit_tests::files::scratch();
    std::fs::write(dir.path().join("plain"), [1; 512]).unwrap();
    let server = Server::start(["file", &format!("dir={}", dir.path().display())]);
    let mut client = server.connect();
    client.hello().unwrap();
    let reply = client.go(b"nowhere").unwrap().unwrap_err();
    assert_eq!(reply.kind, rep::ERR_UNKNOWN);
    assert!(reply.text().contains("nowhere"), "{:?}", reply.text());
    assert!(
        !reply.text().contains(dir.path().to_str().unwrap()),
        "a client learns of our folders: {:?}",
        reply.text()
    );
}
