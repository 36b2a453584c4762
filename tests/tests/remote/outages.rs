// SPDX-License-Identifier: BSD-3-Clause
//! The other machine stops, or goes, with requests under way, and comes back.

use std::{fs, time::Duration};

use nbdkit_tests::{
    Server,
    raw::{Client, Reply, cmd, err},
    until,
};
use nix::sys::signal::Signal;

use crate::curl::nginx::Nginx;

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
    let mut nginx = Nginx::start(SLOW);
    let disk = fs::read(nginx.disk()).unwrap();
    let url = nginx.http("/disk.img");
    let server = Server::start([&["-r", "curl", &url], filter].concat());
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
const RETRY: [&str; 4] = ["--filter=retry", "retries=20", "retry-delay=1", "retry-exponential=no"];
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

#[test]
#[ignore = "long: outages of ten seconds"]
fn a_web_server_that_dies_for_long_costs_nothing_with_either() {
    dies_for(LONG, &RETRY);
    dies_for(LONG, &RETRY_REQUEST);
}
