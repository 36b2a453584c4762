// SPDX-License-Identifier: BSD-3-Clause
//! `-t`: how many requests of a connection are worked on at a time.

use nbdkit_tests::Server;
use nbdkit_tests::raw::cmd;

/// The order in which a slow read and the quick writes after it are answered.
fn order(threads: &[&str], requests: u64) -> Vec<u64> {
    let fixed = ["--filter=delay", "memory", "1M", "rdelay=1"];
    let server = Server::start(threads.iter().chain(&fixed));
    let mut client = server.connect();
    client.simple("");
    client.request(cmd::READ, 0, 0, 512).unwrap();
    for _ in 1..requests {
        client.request(cmd::WRITE, 0, 4096, 512).unwrap();
        client.send(&[1; 512]).unwrap();
    }
    let mut order = Vec::new();
    for _ in 0..requests {
        let cookie = client.reply().unwrap().cookie();
        if cookie == 1 {
            client.recv(512).unwrap();
        }
        order.push(cookie);
    }
    client.disconnect();
    order
}

#[test]
fn with_one_thread_replies_come_in_order() {
    assert_eq!(order(&["-t", "1"], 4), [1, 2, 3, 4]);
    assert_eq!(order(&["--threads=1"], 2), [1, 2]);
}

#[test]
fn with_several_a_slow_request_is_overtaken() {
    for threads in [&[][..], &["-t", "0"], &["-t", "2"], &["-t", "100"]] {
        let order = order(threads, 4);
        assert_eq!(order.last(), Some(&1), "{threads:?}: {order:?}");
    }
}
