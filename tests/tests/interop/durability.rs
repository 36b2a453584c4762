// SPDX-License-Identifier: BSD-3-Clause
//! FUA and flush mean it: the data is on its way to the disk before the reply is on its way to the client.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use nbdkit_tests::data::{assert_bytes, random};
use nbdkit_tests::files::{read_at, scratch, sparse};
use nbdkit_tests::raw::{cmd, flag};
use nbdkit_tests::{Launch, Server, until};

const SIZE: u64 = 16 << 20;
const PIECE: usize = 300_000;
/// What in a call says that it returns with the data on the disk.
const SYNCS: [&str; 4] = ["fdatasync(", "fsync(", "RWF_DSYNC", "RWF_SYNC"];
const CALLS: &str = "fdatasync,fsync,pwritev2,pwrite64,sendmsg,sendto,write,writev";

/// Starts the server under `strace`, with every byte of what it sends shown in hexadecimal.
fn traced(trace: &Path, args: &[&str]) -> Server {
    let trace = trace.to_str().unwrap();
    let strace = ["strace", "-f", "-qq", "-xx", "-s", "64", "-o", trace, "-e", &format!("trace={CALLS}")];
    Launch::new(args).under(strace).start()
}

/// One client that asks for durability in every way, one request at a time. Returns the cookies of these requests.
fn demand_durability(server: &Server) -> Vec<u64> {
    let mut client = server.connect();
    let export = client.simple("");
    assert_eq!(export.flags & 0b1100, 0b1100, "flush and FUA are not offered: {export:?}");
    let mut cookies = Vec::new();
    let mut plain = 0;
    for round in 0..4 {
        let at = round * 4 * PIECE as u64;
        client.write(at, &random(round, PIECE), flag::FUA).expect("write with FUA");
        cookies.push(plain + 1);
        client.call(cmd::WRITE_ZEROES, flag::FUA, at + 2 * PIECE as u64, 70_000).expect("zero with FUA");
        cookies.push(plain + 2);
        client.call(cmd::TRIM, flag::FUA, at + 3 * PIECE as u64, 70_000).expect("trim with FUA");
        cookies.push(plain + 3);
        client.write(at + PIECE as u64, &random(100 + round, PIECE), 0).expect("write");
        client.call(cmd::FLUSH, 0, 0, 0).expect("flush");
        cookies.push(plain + 5);
        plain += 5;
    }
    cookies
}

/// The cookies whose simple reply was sent without a finished sync between the reply before it and it.
fn replied_too_soon(trace: &str, cookies: &[u64]) -> Vec<u64> {
    let mut synced = false;
    // Threads in the midst of a sync: the arguments are on the line where a call begins, not where it ends.
    let mut syncing = HashSet::new();
    let mut missing = cookies.to_vec();
    let mut early = Vec::new();
    for line in trace.lines() {
        let thread = line.split_whitespace().next().unwrap_or_default();
        let begins_sync = SYNCS.iter().any(|name| line.contains(name)) && !line.contains("resumed>");
        if begins_sync && line.contains("<unfinished") {
            syncing.insert(thread);
        } else if begins_sync || line.contains("resumed>") && syncing.remove(thread) {
            synced |= !line.contains("= -1");
        }
        if let Some(cookie) = reply_in(line) {
            if let Some(i) = missing.iter().position(|&wanted| wanted == cookie) {
                missing.remove(i);
                if !synced {
                    early.push(cookie);
                }
            }
            synced = false;
        }
    }
    assert!(missing.is_empty(), "no reply to {missing:?} is in the trace:\n{trace}");
    early
}

/// The cookie of the simple reply with error 0 which this call sends, if it does.
fn reply_in(line: &str) -> Option<u64> {
    let hex = line.split_once(r"\x67\x44\x66\x98\x00\x00\x00\x00")?.1;
    let digits: String = hex.get(..8 * 4)?.split(r"\x").collect();
    u64::from_str_radix(&digits, 16).ok()
}

#[test]
fn a_sync_stands_between_each_fua_or_flush_and_its_reply() {
    let dir = scratch();
    let (image, trace) = (dir.path().join("disk"), dir.path().join("trace"));
    sparse(&image, SIZE, &[]);
    let mut server = traced(&trace, &["file", image.to_str().unwrap()]);
    let cookies = demand_durability(&server);
    server.kill();

    let text = fs::read_to_string(&trace).unwrap();
    let early = replied_too_soon(&text, &cookies);
    assert!(
        early.is_empty(),
        "requests {early:?} of {cookies:?} were answered before a sync had ended:\n{text}"
    );

    // And after the kill all of it is there.
    for round in 0..4 {
        let at = round * 4 * PIECE as u64;
        assert_bytes("written with FUA", &read_at(&image, at, PIECE), &random(round, PIECE));
        let flushed = read_at(&image, at + PIECE as u64, PIECE);
        assert_bytes("written, then flushed", &flushed, &random(100 + round, PIECE));
    }
}

#[test]
fn the_trace_would_tell() {
    // A disk in memory has nothing to sync: the judgement above must find that out, or it proves nothing.
    let dir = scratch();
    let trace = dir.path().join("trace");
    let mut server = traced(&trace, &["memory", "16M"]);
    let cookies = demand_durability(&server);
    server.kill();
    until("the trace is complete", || fs::read_to_string(&trace).is_ok_and(|text| text.contains("SIGKILL")));
    assert_eq!(replied_too_soon(&fs::read_to_string(&trace).unwrap(), &cookies), cookies);
}
