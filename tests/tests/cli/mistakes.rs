// SPDX-License-Identifier: BSD-3-Clause
//! Every mistake on the command line ends with status 1 and a message that names the thing and its value.

use nbdkit_tests::files::scratch;
use nbdkit_tests::{Feature, nbdkit, run, supports};

use crate::run_nbdkit;

/// Runs with a place to listen and a command which must not be run. The message has all of `words`.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    let all: Vec<&str> = ["-U", "-", "--run", "echo ran"].iter().chain(args).copied().collect();
    refused_as_it_is(&all, words);
}

/// [`refused`], and the message has the bad value.
#[track_caller]
fn refused_value(args: &[&str], value: &str) {
    let words = [value];
    refused(args, if supports(Feature::ErrorText) { &words } else { &[] });
}

#[track_caller]
fn refused_as_it_is(args: &[&str], words: &[&str]) {
    let mut output = run_nbdkit(args).exits(1);
    assert!(!output.text().lines().any(|line| line == "ran"), "the command ran: {}", output.report());
    assert!(!output.stderr.trim().is_empty(), "no message: {}", output.report());
    assert!(!output.stderr.contains("panicked"), "{}", output.report());
    for word in words {
        output = output.says(word);
    }
}

#[test]
fn an_unknown_plugin_or_filter_is_named() {
    refused(&["no-such-plugin"], &["no-such-plugin"]);
    refused(&["--filter=no-such-filter", "memory", "1M"], &["no-such-filter"]);
    refused(&["./no/such/path.so"], &["no/such/path.so"]);
}

#[test]
fn an_unknown_parameter_is_named() {
    refused(&["memory", "1M", "colour=red"], &["colour"]);
    refused(&["--filter=offset", "memory", "1M", "offsett=1"], &["offsett"]);
    refused(&["file", "file=/dev/null", "sizes=1"], &["sizes"]);
}

#[test]
fn a_bad_value_is_named() {
    for bad in ["1X", "x", "1.5M", "1MB", "-1", "99999999999999999999", "16E", "1M2", "M"] {
        refused_value(&["memory", &format!("size={bad}")], bad);
    }
    refused_value(&["--filter=offset", "memory", "1M", "offset=12q"], "12q");
    refused_value(&["--filter=delay", "memory", "1M", "rdelay=soon"], "soon");
    refused_value(&["--filter=error", "memory", "1M", "error=EFOO"], "EFOO");
    refused(&["--filter=partition", "memory", "1M", "partition=x"], &["partition"]);
    refused_value(&["--filter=cow", "memory", "1M", "cow-block-size=5000"], "cow-block-size");
    refused_value(&["file", "/dev/null", "fadvise=maybe"], "maybe");
}

#[test]
fn a_missing_parameter_is_named() {
    refused(&["memory"], &["size"]);
    refused(&["file"], &["file"]);
    refused(&["--filter=partition", "memory", "1M"], &["partition"]);
}

#[test]
fn a_missing_file_or_a_folder_is_named() {
    refused(&["file", "/no/such/file"], &["/no/such/file"]);
    refused(&["file", "dir=/no/such/dir"], &["/no/such/dir"]);
    let dir = scratch();
    refused(&["file", dir.path().to_str().unwrap()], &["dir=", dir.path().to_str().unwrap()]);
    refused(&["file", "/dev/null"], &["/dev/null"]);
}

#[test]
fn no_plugin_or_an_empty_one_is_said() {
    let output = run(&mut nbdkit()).exits(1);
    assert!(output.stderr.contains("plugin"), "{}", output.report());
    refused(&[""], &[]);
}

#[test]
fn an_unknown_option_is_named() {
    refused(&["--no-such-option", "memory", "1M"], &["no-such-option"]);
    refused(&["-Z", "memory", "1M"], &["Z"]);
    // An abbreviation of several.
    refused(&["--no", "memory", "1M"], &["--no"]);
}

#[test]
fn a_bad_value_of_an_option_is_named() {
    refused_value(&["-t", "many", "memory", "1M"], "many");
    refused_value(&["-t", "-1", "memory", "1M"], "-1");
    refused_value(&["--tls=maybe", "memory", "1M"], "maybe");
    refused_value(&["--mask-handshake=x", "memory", "1M"], "x");
    // After the fork, which `--run` needs: a captive command may run by then.
    refused_as_it_is(&["-f", "-U", "-", "-u", "no-such-user", "memory", "1M"], &["no-such-user"]);
    refused_as_it_is(&["-f", "-U", "-", "-g", "no-such-group", "memory", "1M"], &["no-such-group"]);
    let run = ["--run", "echo ran", "memory", "1M"];
    refused_as_it_is(&[&["-p", "no-such-service"][..], &run].concat(), &["no-such-service"]);
    refused_as_it_is(&[&["-p", "10899", "-i", "300.1.2.3"][..], &run].concat(), &["300.1.2.3"]);
}

#[test]
fn options_that_contradict_are_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s").display().to_string();
    run_nbdkit(&["-f", "-p", "10899", "-U", &socket, "memory", "1M"]).exits(1).says("-U");
    run_nbdkit(&["-f", "-s", "-U", &socket, "memory", "1M"]).exits(1).says("-s");
    run_nbdkit(&["-f", "-s", "-p", "10899", "memory", "1M"]).exits(1).says("-s");
    run_nbdkit(&["-f", "-s", "memory", "1M", "--run", "true"]).exits(1).says("--run");
    run_nbdkit(&["-f", "--vsock", "-U", &socket, "memory", "1M"]).exits(1).says("--vsock");
    assert!(!dir.path().join("s").exists());
}

#[test]
fn a_path_too_long_for_a_socket_is_told_with_its_length() {
    let path = format!("/tmp/{}", "x".repeat(120));
    run_nbdkit(&["-f", "-U", &path, "memory", "1M"]).exits(1).says("125").says("107");
}

#[test]
fn a_place_that_cannot_be_is_named() {
    run_nbdkit(&["-f", "-U", "/no/such/dir/socket", "memory", "1M"]).exits(1).says("/no/such/dir/socket");
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s").display().to_string();
    run_nbdkit(&["-f", "-U", &socket, "-P", "/no/such/dir/pid", "memory", "1M"])
        .exits(1)
        .says("/no/such/dir/pid");
    // A port below 1024 may be allowed, a port in use is not.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    run_nbdkit(&["-f", "-i", "127.0.0.1", "-p", &port, "memory", "1M"]).exits(1).says("in use");
}

#[test]
fn an_option_without_its_value_is_told() {
    for (short, long) in
        [("-p", "port"), ("-U", "unix"), ("--filter", "filter"), ("-t", "threads"), ("--run", "run")]
    {
        let output = run_nbdkit(&["-f", "memory", "1M", short]).exits(1);
        // getopt says which letter, others say the name.
        let letter = format!("'{}'", short.trim_start_matches('-'));
        assert!(output.stderr.contains(long) || output.stderr.contains(&letter), "{}", output.report());
    }
}
