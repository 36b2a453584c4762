// SPDX-License-Identifier: BSD-3-Clause
//! The other machine stops, or goes, with requests under way, and comes back.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use nbdkit_tests::{
    Server,
    data::assert_bytes,
    raw::{self, Client, Reply, cmd, err},
    until,
};
use nix::sys::signal::Signal;

use crate::curl::{nginx::Nginx, writing::Apache};

const BLOCK: u64 = 64 << 10;

/// How long a server is away.
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(10);

/// Answers slowly, so that there is something to interrupt.
const SLOW: &str = "limit_rate 200k;";

/// Asks for the first sixteen blocks.
fn ask_for_sixteen(client: &mut Client) -> Vec<u64> {
    (0..16).map(|i| client.request(cmd::READ, 0, i * BLOCK, BLOCK).unwrap()).collect()
}

/// The answers, in the order of the questions: how many bytes came that are those of `disk`, or the error.
#[track_caller]
fn answers(client: &mut Client, cookies: &[u64], disk: &[u8]) -> Vec<Result<usize, u32>> {
    let mut answers = vec![None; cookies.len()];
    while answers.iter().any(Option::is_none) {
        let reply = client.reply().expect("every request is answered");
        let index = cookies.iter().position(|cookie| *cookie == reply.cookie()).unwrap();
        answers[index] = Some(match (&reply, reply.error()) {
            (_, Some(error)) => Err(error),
            (Reply::Chunk(chunk), None) => {
                let data = &chunk.payload[8..];
                assert!(data == &disk[index * BLOCK as usize..][..data.len()], "block {index}");
                Ok(data.len())
            }
            (Reply::Simple { .. }, None) => panic!("structured replies were negotiated"),
        });
    }
    answers.into_iter().flatten().collect()
}

/// Waits until all sixteen are under way: each has a connection, beside the three sockets that listen.
fn until_asked(nginx: &Nginx) {
    until("nginx is asked", || nginx.process().sockets() >= 3 + 16);
}

fn all() -> Vec<Result<usize, u32>> {
    vec![Ok(BLOCK as usize); 16]
}

fn stopped_for(time: Duration) {
    let nginx = Nginx::start(SLOW);
    let server = Server::start(["-r", "curl", &nginx.http("/disk.img")]);
    let disk = fs::read(nginx.disk()).unwrap();
    let mut client = server.connect();
    client.structured("");
    let cookies = ask_for_sixteen(&mut client);
    until_asked(&nginx);
    nginx.process().signal(Signal::SIGSTOP);
    // Nothing to wait for: the point is that nothing happens.
    std::thread::sleep(time);
    nginx.process().signal(Signal::SIGCONT);
    assert_eq!(answers(&mut client, &cookies, &disk), all());
    client.disconnect();
}

#[test]
fn a_web_server_that_stops_and_goes_on_costs_nothing() {
    stopped_for(SHORT);
}

#[test]
#[ignore = "long: an outage of ten seconds"]
fn a_web_server_that_stops_for_long_and_goes_on_costs_nothing() {
    stopped_for(LONG);
}

#[test]
fn a_web_server_that_dies_is_an_error_at_once() {
    let mut nginx = Nginx::start(SLOW);
    let server = Server::start(["-r", "curl", &nginx.http("/disk.img")]);
    let disk = fs::read(nginx.disk()).unwrap();
    let mut client = server.connect();
    client.structured("");
    let cookies = ask_for_sixteen(&mut client);
    until_asked(&nginx);
    nginx.kill();
    let answers = answers(&mut client, &cookies, &disk);
    assert!(answers.contains(&Err(err::EIO)), "{answers:?}");
    // No bytes but right ones, and no other errors.
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(err::EIO))), "{answers:?}");
    nginx.start_again();
    assert_eq!(client.read(0, 512).unwrap(), disk[..512]);
    client.disconnect();
}

fn dies_for(time: Duration, filter: &[&str]) {
    let nginx = Nginx::start(SLOW);
    let url = nginx.http("/disk.img");
    dies(nginx, &[&["-r", "curl", &url], filter].concat(), time);
}

fn dies(mut nginx: Nginx, args: &[&str], time: Duration) {
    let disk = fs::read(nginx.disk()).unwrap();
    let server = Server::start(args);
    let mut client = server.connect();
    client.structured("");
    let cookies = ask_for_sixteen(&mut client);
    // One answer, or more, is complete, and others are not: nginx logs them as they end.
    until("a first answer", || nginx.log().iter().any(|line| line.contains(" GET ")));
    nginx.kill();
    std::thread::sleep(time);
    nginx.start_again();
    assert_eq!(answers(&mut client, &cookies, &disk), all());
    client.disconnect();
}

/// With it, one request at a time is under way.
const RETRY: [&str; 4] = ["--filter=retry", "retries=40", "retry-delay=1", "retry-exponential=no"];
/// With it all are.
const RETRY_REQUEST: [&str; 4] =
    ["--filter=retry-request", "retry-request-retries=30", "retry-request-delay=1", "connections=4"];

#[test]
fn a_web_server_that_dies_and_comes_back_costs_nothing_with_retry() {
    dies_for(SHORT, &RETRY);
}

#[test]
fn a_web_server_that_dies_and_comes_back_costs_nothing_with_retry_request() {
    dies_for(SHORT, &RETRY_REQUEST);
}

/// There all answers come over one connection.
#[test]
fn a_web_server_that_dies_and_comes_back_costs_nothing_over_http_2() {
    for filter in [&RETRY, &RETRY_REQUEST] {
        let nginx = Nginx::start(SLOW);
        let (url, cainfo) = (nginx.https("/disk.img"), nginx.cainfo());
        dies(nginx, &[&["-r", "curl", &url, &cainfo], &filter[..]].concat(), SHORT);
    }
}

/// Sixteen writes, each over the one before.
fn writes_keep_their_order(away: Duration) {
    let mut apache = Apache::start();
    fs::write(apache.disk(), vec![0xff; 64 << 10]).unwrap();
    fs::set_permissions(apache.disk(), fs::Permissions::from_mode(0o666)).unwrap();
    let url = apache.url();
    let server = Server::start([&["-v", "curl", &url], &RETRY[..]].concat());
    let mut client = server.connect();
    client.structured("");
    // So that at least one is under way when it dies.
    apache.process().signal(Signal::SIGSTOP);
    for i in 0..16 {
        let mut request = raw::simple(0, cmd::WRITE, 1000 + i, i * 1000, 4000);
        request.extend_from_slice(&[i as u8; 4000]);
        client.send(&request).unwrap();
    }
    until("a write", || server.stderr().contains(" PUT "));
    apache.kill();
    until("an attempt that fails", || server.stderr().contains("Connection refused"));
    std::thread::sleep(away);
    apache.start_again();
    for _ in 0..16 {
        let reply = client.reply().unwrap();
        assert_eq!(reply.error(), None, "{reply:?}\n{}", server.stderr());
    }
    client.disconnect();
    let mut expected = vec![0xff; 64 << 10];
    for i in 0..16 {
        expected[i * 1000..i * 1000 + 4000].fill(i as u8);
    }
    assert_bytes("the file", &fs::read(apache.disk()).unwrap(), &expected);
}

#[test]
fn writes_keep_their_order_with_retry() {
    writes_keep_their_order(Duration::ZERO);
}

#[test]
#[ignore = "long: an outage of ten seconds"]
fn writes_keep_their_order_with_retry_through_a_long_outage() {
    writes_keep_their_order(LONG);
}

#[test]
#[ignore = "long: outages of ten seconds"]
fn a_web_server_that_dies_for_long_costs_nothing_with_either() {
    dies_for(LONG, &RETRY);
    dies_for(LONG, &RETRY_REQUEST);
}
