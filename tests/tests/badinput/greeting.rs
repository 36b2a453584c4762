// SPDX-License-Identifier: BSD-3-Clause
//! Half a handshake, and wrong numbers where magic belongs.

use nbdkit_tests::raw::{greeting_flags, opt, option, simple};

use crate::victim;

#[test]
fn a_client_that_stops_in_the_handshake_harms_nobody() {
    let server = victim();
    let mut flags_only = server.connect();
    flags_only.hello().unwrap();
    let mut half_flags = server.connect();
    half_flags.send(&[0, 0]).unwrap();
    let mut half_option = server.connect();
    half_option.hello().unwrap();
    half_option.send(b"IHAVEOPT\0\0").unwrap();
    let mut half_payload = server.connect();
    half_payload.hello().unwrap();
    half_payload.send(&option(opt::GO, &[0; 6])[..20]).unwrap();
    // All of them still there, and others are served.
    server.assert_serves();
    for mut client in [flags_only, half_flags, half_option, half_payload] {
        client.finish_sending();
        client.assert_closed("half a handshake");
    }
    server.assert_serves();
}

#[test]
fn unknown_client_flags_end_the_connection() {
    let server = victim();
    for flags in [4_u32, 8, 1 << 31, u32::MAX] {
        let mut client = server.connect();
        greeting_flags(&mut client).unwrap();
        client.send(&flags.to_be_bytes()).unwrap();
        client.assert_closed(&format!("client flags {flags:#x}"));
        server.assert_serves();
    }
}

#[test]
fn a_wrong_option_magic_ends_the_connection() {
    let server = victim();
    for magic in [0, u64::MAX, 0x4948_4156_454f_5055, 0x0003_e889_0455_65a9, u64::from_be_bytes(*b"GET / HT")]
    {
        let mut client = server.connect();
        client.hello().unwrap();
        let _ = client.send(&magic.to_be_bytes());
        let _ = client.send(&[0; 64]);
        client.assert_closed(&format!("option magic {magic:#x}"));
        server.assert_serves();
    }
}

#[test]
fn a_wrong_request_magic_ends_the_connection() {
    let server = victim();
    for magic in [0_u32, u32::MAX, 0x2560_9514, 0x21e4_1c71, 0x6744_6698] {
        let mut client = server.connect();
        client.structured("");
        let mut request = simple(0, 0, 1, 0, 512);
        request[..4].copy_from_slice(&magic.to_be_bytes());
        let _ = client.send(&request);
        let _ = client.send(&[0; 64]);
        client.assert_closed(&format!("request magic {magic:#x}"));
        server.assert_serves();
    }
}

#[test]
fn other_protocols_are_sent_away() {
    let server = victim();
    let http = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let tls = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    let ssh = b"SSH-2.0-OpenSSH_9.2p1\r\n";
    let zeroes = [0; 4096];
    for words in [&http[..], &tls, ssh, &zeroes, &[0xff; 4096]] {
        let mut client = server.connect();
        let _ = client.send(words);
        client.finish_sending();
        client.assert_closed("another protocol");
        server.assert_serves();
    }
}
