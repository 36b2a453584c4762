// SPDX-License-Identifier: BSD-3-Clause
//! Requests that cannot be: lengths and offsets at the edges of numbers, unknown commands and flags.

use nbdkit_tests::raw::{Client, Style, cmd, err, flag};
use nbdkit_tests::{Feature, Server, supports};

use crate::{SIZE, victim};

const COMMANDS: [u16; 12] = [0, 1, 3, 4, 5, 6, 7, 8, 9, 255, 256, 65535];

fn client(server: &Server, style: Style) -> Client {
    let mut client = server.connect();
    match style {
        Style::Simple => client.simple(""),
        Style::Structured => client.structured(""),
        Style::Extended => client.extended(""),
    };
    client
}

fn styles() -> Vec<Style> {
    let mut styles = vec![Style::Simple, Style::Structured];
    if supports(Feature::ExtendedHeaders) {
        styles.push(Style::Extended);
    }
    styles
}

/// Sends the request, with the payload where one belongs, and returns the error, or `None` if it is done.
/// A write that is too large to be discarded may end the connection, which is an answer as well.
#[track_caller]
fn try_request(
    client: &mut Client,
    command: u16,
    flags: u16,
    offset: u64,
    len: u64,
    what: &str,
) -> Option<u32> {
    let cookie = client.request(command, flags, offset, len).unwrap();
    if command == cmd::WRITE {
        client.send_zeroes(len).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    if command == cmd::READ {
        return client.read_reply(cookie, offset, len as u32).err();
    }
    client.done(cookie).err()
}

#[test]
fn numbers_at_every_edge() {
    let server = victim();
    let offsets = [
        0,
        1,
        SIZE - 1,
        SIZE,
        SIZE + 1,
        (1 << 32) - 1,
        1 << 32,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    for style in styles() {
        let mut lengths = vec![0, 1, 512, SIZE, SIZE + 1, (1 << 31) - 1, 1 << 31, u64::from(u32::MAX)];
        if style == Style::Extended {
            lengths.extend([1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX]);
        }
        for command in COMMANDS {
            let mut client = client(&server, style);
            for offset in offsets {
                for &len in &lengths {
                    // Payloads that large have their own tests below.
                    let in_range = len > 0 && offset.checked_add(len).is_some_and(|end| end <= SIZE);
                    if command == cmd::WRITE && len > 4096 || command == cmd::READ && in_range && len > 4096 {
                        continue;
                    }
                    let what = format!("{style:?} command {command} offset {offset} length {len}");
                    let flags =
                        if style == Style::Extended && command == cmd::WRITE { flag::PAYLOAD_LEN } else { 0 };
                    let error = try_request(&mut client, command, flags, offset, len, &what);
                    judge(command, offset, len, in_range, style, error, &what);
                }
            }
            client.disconnect();
        }
        server.assert_serves();
    }
}

#[track_caller]
fn judge(command: u16, offset: u64, len: u64, in_range: bool, style: Style, error: Option<u32>, what: &str) {
    match command {
        cmd::FLUSH => {
            let expected = if offset == 0 && len == 0 { None } else { Some(err::EINVAL) };
            assert_eq!(error, expected, "{what}");
        }
        cmd::WRITE | cmd::WRITE_ZEROES if in_range => assert_eq!(error, None, "{what}"),
        cmd::READ | cmd::TRIM | cmd::CACHE if in_range => assert_eq!(error, None, "{what}"),
        cmd::BLOCK_STATUS if in_range && style != Style::Simple => assert_eq!(error, None, "{what}"),
        cmd::WRITE | cmd::WRITE_ZEROES if len > 0 || offset > SIZE => {
            assert!(matches!(error, Some(err::ENOSPC | err::EINVAL)), "{what}: {error:?}");
        }
        // The specification leaves requests of length 0 to the server.
        _ if len == 0 && offset <= SIZE && command < cmd::RESIZE => {}
        _ => assert_eq!(error, Some(err::EINVAL), "{what}"),
    }
}

#[test]
fn every_flag_on_every_command() {
    let server = victim();
    for style in styles() {
        for command in COMMANDS {
            let mut client = client(&server, style);
            for bit in 0..16 {
                let flags = 1 << bit;
                if flags == flag::PAYLOAD_LEN && style == Style::Extended {
                    // Announces a payload: see below.
                    continue;
                }
                let what = format!("{style:?} command {command} flags {flags:#x}");
                let sent = if style == Style::Extended && command == cmd::WRITE {
                    flags | flag::PAYLOAD_LEN
                } else {
                    flags
                };
                let (offset, len) = if command == cmd::FLUSH { (0, 0) } else { (4096, 4096) };
                let error = try_request(&mut client, command, sent, offset, len, &what);
                let allowed = match (flags, command) {
                    (_, 8..) => false,
                    (flag::FUA, cmd::BLOCK_STATUS) => style != Style::Simple,
                    (flag::FUA, _) => true,
                    (flag::NO_HOLE | flag::FAST_ZERO, cmd::WRITE_ZEROES) => true,
                    (flag::DF, cmd::READ) => style != Style::Simple,
                    (flag::REQ_ONE, cmd::BLOCK_STATUS) => style != Style::Simple,
                    _ => false,
                };
                if !allowed {
                    assert_eq!(error, Some(err::EINVAL), "{what}");
                } else if flags != flag::FUA || matches!(command, cmd::WRITE | cmd::WRITE_ZEROES | cmd::TRIM)
                {
                    // FUA where nothing is written may be refused or ignored.
                    assert_eq!(error, None, "{what}");
                }
            }
            client.disconnect();
        }
        server.assert_serves();
    }
}

#[test]
fn unknown_commands_are_refused_and_the_connection_goes_on() {
    let server = victim();
    for style in styles() {
        let mut client = client(&server, style);
        for command in (8..300).chain([0x7fff, 0x8000, 0xffff]) {
            let cookie = client.request(command, 0, 0, 512).unwrap();
            assert_eq!(client.done(cookie), Err(err::EINVAL), "{style:?} command {command}");
        }
        assert_eq!(client.read(0, 512).unwrap(), [0; 512]);
        client.disconnect();
    }
    server.assert_serves();
}

#[test]
fn a_write_with_an_error_in_its_head_has_its_payload_skipped() {
    let server = victim();
    for style in styles() {
        let mut client = client(&server, style);
        let needed = if style == Style::Extended { flag::PAYLOAD_LEN } else { 0 };
        for (flags, offset) in [(1 << 9, 0), (0, SIZE), (0, u64::MAX), (flag::DF, 0), (0, SIZE - 1)] {
            // A payload that looks like a request, to find out whether it is taken for one.
            let trap = nbdkit_tests::raw::simple(0, cmd::WRITE_ZEROES, 99, 0, SIZE as u32).repeat(1000);
            let cookie = client.request(cmd::WRITE, flags | needed, offset, trap.len() as u64).unwrap();
            client.send(&trap).unwrap();
            assert!(client.done(cookie).is_err(), "{style:?} flags {flags:#x} offset {offset}");
        }
        assert_eq!(client.read(0, 512).unwrap(), [0; 512]);
        client.disconnect();
    }
    server.assert_serves();
}

#[test]
fn writes_and_reads_at_and_over_the_limit() {
    let server = Server::start(["memory", "1G"]);
    let limit = 64 << 20;
    for style in styles() {
        let needed = if style == Style::Extended { flag::PAYLOAD_LEN } else { 0 };
        // 32 MiB is what every client may expect to work.
        let mut connection = client(&server, style);
        assert_eq!(try_request(&mut connection, cmd::WRITE, needed, 5, 32 << 20, "32 MiB"), None);
        assert_eq!(try_request(&mut connection, cmd::READ, 0, 5, 32 << 20, "32 MiB"), None);
        // Over the limit of reads there is an error, and the connection goes on.
        for len in [limit + 1, 512 << 20] {
            let error = try_request(&mut connection, cmd::READ, 0, 0, len, "a large read");
            assert!(
                matches!(error, Some(err::ENOMEM | err::EINVAL | err::EOVERFLOW)),
                "{style:?} {len}: {error:?}"
            );
        }
        assert_eq!(connection.read(0, 1).unwrap(), [0]);
        connection.disconnect();
        // Over the limit of writes there is an error or an end.
        for len in [limit + 1, 256 << 20, u64::from(u32::MAX)] {
            let mut connection = client(&server, style);
            let cookie = connection.request(cmd::WRITE, needed, 0, len).unwrap();
            let sent = connection.send_zeroes(len.min(160 << 20));
            if sent.is_ok() && len <= 160 << 20 {
                match connection.reply() {
                    Ok(reply) => assert!(
                        reply.cookie() == cookie && reply.error().is_some(),
                        "{style:?} {len}: {reply:?}"
                    ),
                    Err(error) => assert!(nbdkit_tests::raw::is_closed(&error), "{style:?} {len}: {error}"),
                }
            } else {
                connection.finish_sending();
                connection.assert_closed("a write over the limit");
            }
            server.assert_serves();
        }
    }
}

#[test]
fn extended_headers_with_payloads_where_none_belong() {
    if !supports(Feature::ExtendedHeaders) {
        return;
    }
    let server = victim();
    for command in COMMANDS {
        for len in [0, 1, 512, 65536, 65 << 20] {
            let mut client = client(&server, Style::Extended);
            let cookie = client.request(command, flag::PAYLOAD_LEN, 0, len).unwrap();
            let sent = client.send_zeroes(len);
            match client.reply() {
                Ok(reply) => assert_eq!(reply.cookie(), cookie, "command {command} with {len} bytes"),
                Err(error) => {
                    assert!(
                        nbdkit_tests::raw::is_closed(&error),
                        "command {command} with {len} bytes: {error} {sent:?}"
                    );
                }
            }
        }
        server.assert_serves();
    }
    // A payload of 2^64-1 bytes is not waited for.
    let mut client = client(&server, Style::Extended);
    client.request(cmd::WRITE, flag::PAYLOAD_LEN, 0, u64::MAX).unwrap();
    let _ = client.send_zeroes(1 << 20);
    client.finish_sending();
    client.assert_closed("a write of 2^64-1 bytes");
    server.assert_serves();
}

#[test]
fn the_header_of_the_other_kind_ends_the_connection() {
    if !supports(Feature::ExtendedHeaders) {
        return;
    }
    let server = victim();
    let mut client = client(&server, Style::Extended);
    let _ = client.send(&nbdkit_tests::raw::simple(0, cmd::READ, 1, 0, 512));
    let _ = client.send(&[0; 64]);
    client.assert_closed("a compact request after extended headers");
    server.assert_serves();
}
