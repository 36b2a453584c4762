// SPDX-License-Identifier: BSD-3-Clause
//! What is said, and where: `-v`, `--log`, `-D`.

use std::fs;

use crate::run_nbdkit;
use nbdkit_tests::files::scratch;
use nbdkit_tests::{Feature, Server, run, supports, tool};

#[test]
fn verbose_tells_every_step_and_quiet_tells_none() {
    let quiet = run_nbdkit(&["-U", "-", "memory", "1M", "--run", "nbdinfo --size \"$uri\""]).ok();
    assert_eq!(quiet.stderr, "");
    for option in ["-v", "--verbose"] {
        let loud = run_nbdkit(&[option, "-U", "-", "memory", "1M", "--run", "nbdinfo --size \"$uri\""]).ok();
        assert_eq!(loud.text(), "1048576", "debug messages on standard output");
        assert!(loud.stderr.lines().filter(|line| line.contains("debug")).count() > 5, "{}", loud.report());
        assert!(loud.stderr.lines().all(|line| line.starts_with("nbdkit: ")), "{}", loud.report());
    }
}

#[test]
fn verbose_shows_a_request_with_its_numbers() {
    let server = Server::start(["-v", "memory", "1M"]);
    let mut client = server.connect();
    client.structured("");
    client.read(54321, 12345).unwrap();
    let stderr = server.stderr();
    let shown = stderr.lines().any(|line| {
        line.contains("pread")
            && (line.contains("12345") || line.contains("0x3039"))
            && (line.contains("54321") || line.contains("0xd431"))
    });
    assert!(shown, "{stderr}");
}

#[test]
fn log_to_nowhere_is_silent_and_keeps_the_exit_status() {
    let output = run_nbdkit(&["--log=null", "memory", "bad-size"]).exits(1);
    assert_eq!(output.stderr, "");
    let output = run_nbdkit(&["--log=stderr", "memory", "bad-size"]).exits(1).says("bad-size");
    assert!(output.stderr.starts_with("nbdkit: "), "{}", output.report());
}

#[test]
fn an_unknown_log_is_refused() {
    run_nbdkit(&["--log=nowhere", "memory", "1M", "--run", "true"]).exits(1).says("--log");
}

#[test]
fn an_error_of_a_request_is_logged_with_its_connection_and_no_client_can_forge_lines() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = scratch();
    fs::write(dir.path().join("plain"), "x").unwrap();
    let server = Server::start(["file", &format!("dir={}", dir.path().display())]);
    let uri = server.uri_of("bad%0Aname%1b%5B31m");
    run(tool("nbdinfo").arg("--size").arg(uri)).fails();
    let stderr = server.stderr();
    assert!(stderr.contains("bad"), "{stderr}");
    assert!(
        stderr.lines().all(|line| line.starts_with("nbdkit: ")),
        "a client wrote a line of its own: {stderr}"
    );
    assert!(!stderr.contains('\u{1b}'), "a client sent an escape sequence to the terminal: {stderr:?}");
}

#[test]
fn a_debug_flag_must_be_well_formed() {
    for flag in ["", "nodot", "memory.=1", ".flag=1", "memory.flag", "memory.flag=", "memory.flag=x"] {
        run_nbdkit(&["-D", flag, "-U", "-", "memory", "1M", "--run", "true"]).exits(1);
    }
}
