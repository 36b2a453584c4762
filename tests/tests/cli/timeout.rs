// SPDX-License-Identifier: BSD-3-Clause
//! `--timeout`: who does not finish the handshake in time is sent away, who did may be slow.

use nbdkit_tests::{Feature, Server, supports};

use crate::run_nbdkit;

#[test]
fn a_silent_client_is_sent_away_and_a_ready_one_stays() {
    if !supports(Feature::HandshakeTimeout) {
        return;
    }
    for option in ["--timeout=300ms", "--time-out=0.3"] {
        let server = Server::start([option, "memory", "1M"]);
        let mut ready = server.connect();
        ready.structured("");
        let mut silent = server.connect();
        let mut greeted = server.connect();
        greeted.hello().unwrap();
        silent.assert_closed("a client that says nothing");
        greeted.assert_closed("a client that stops in the middle of the handshake");
        // By now the time of the first has long passed.
        assert_eq!(ready.read(0, 512).unwrap(), [0; 512]);
        server.assert_serves();
    }
}

#[test]
fn a_bad_time_is_refused() {
    if !supports(Feature::HandshakeTimeout) {
        return;
    }
    for bad in ["soon", "-1", "1x", "", "nan", "inf"] {
        run_nbdkit(&[&format!("--timeout={bad}"), "-U", "-", "memory", "1M", "--run", "true"])
            .exits(1)
            .says("time");
    }
}
