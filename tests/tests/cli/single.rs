// SPDX-License-Identifier: BSD-3-Clause
//! `-s`: one client, on standard input and output.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};

use nbdkit_tests::raw::{Address, Client};
use nbdkit_tests::{eventually, nbdkit, run, tool};

/// `nbdkit -s ARGS` with a client on its standard streams.
fn single(option: &str, args: &[&str]) -> (Child, Client) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let input: OwnedFd = theirs.try_clone().unwrap().into();
    let output: OwnedFd = theirs.into();
    let mut command = nbdkit();
    command.arg(option).args(args).stdin(Stdio::from(input)).stdout(Stdio::from(output));
    let child = command.spawn().unwrap();
    // The command holds the other end as long as it lives, and a closed stream would not be seen.
    drop(command);
    (child, Client::over(ours).unwrap())
}

#[test]
fn one_client_is_served_and_then_it_is_over() {
    for option in ["-s", "--single", "--stdin"] {
        let (mut child, mut client) = single(option, &["memory", "1M"]);
        assert_eq!(client.structured("").size, 1 << 20);
        client.write(5, b"single", 0).unwrap();
        assert_eq!(client.read(4, 8).unwrap(), b"\0single\0");
        client.disconnect();
        assert_eq!(eventually(|| child.try_wait().unwrap()).expect("the end").code(), Some(0), "{option}");
    }
}

#[test]
fn a_client_that_just_leaves_ends_it_too() {
    let (mut child, mut client) = single("-s", &["memory", "1M"]);
    client.structured("");
    drop(client);
    assert_eq!(eventually(|| child.try_wait().unwrap()).expect("the end").code(), Some(0));
}

#[test]
fn libnbd_starts_it_as_a_subprocess() {
    let program = nbdkit();
    let script = format!(
        "h.connect_command([{:?}, '-s', 'memory', '1M'])\nprint(h.get_size())",
        program.get_program()
    );
    assert_eq!(run(tool("nbdsh").arg("-c").arg(script)).ok().text(), "1048576");
}

#[test]
fn two_pipes_will_do() {
    let program = nbdkit();
    let script = r#"printf '' | "$0" -s memory 1M | cat"#;
    let output = run(tool("sh").arg("-c").arg(script).arg(program.get_program())).ok();
    assert_eq!(output.stdout.len(), 18, "not just the greeting: {}", output.report());
}

#[test]
fn nothing_but_the_protocol_is_on_standard_output() {
    // Here standard input is /dev/null, and output a file.
    let output = run(nbdkit().args(["-s", "memory", "1M"])).ok();
    assert_eq!(output.stdout.len(), 18, "more than the greeting: {}", output.report());
    assert_eq!(&output.stdout[..8], b"NBDMAGIC");
    // And without a plugin nothing at all.
    let output = run(nbdkit().args(["-s", "no-such-plugin"])).exits(1);
    assert_eq!(output.stdout, b"");
}

#[test]
fn programs_that_a_plugin_starts_do_not_hold_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    let script = format!("get_size=ls -l /proc/self/fd > {}; echo 1M", list.display());
    let (mut child, mut client) = single("-s", &["eval", &script, "pread=dd if=/dev/zero bs=$3 count=1"]);
    client.structured("");
    client.disconnect();
    assert_eq!(eventually(|| child.try_wait().unwrap()).expect("the end").code(), Some(0));
    let open = std::fs::read_to_string(list).unwrap();
    assert!(!open.contains("socket:"), "{open}");
}

#[test]
fn a_super_server_hands_over_its_clients() {
    // As inetd does: the socket of the client is standard input and output.
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let mut command = tool("systemd-socket-activate");
    command.args(["--inetd", "--accept", "--listen"]).arg(&socket).arg(nbdkit().get_program());
    let mut server = command.args(["-s", "memory", "1M"]).stderr(Stdio::null()).spawn().unwrap();
    let address = Address::Unix(socket);
    for _ in 0..2 {
        let mut client = eventually(|| Client::connect(&address).ok()).expect("somebody listens");
        assert_eq!(client.structured("").size, 1 << 20);
        // Each has a server, and so a disk, of its own.
        assert_eq!(client.read(0, 6).unwrap(), [0; 6]);
        client.write(0, b"single", 0).unwrap();
        assert_eq!(client.read(0, 6).unwrap(), b"single");
        client.disconnect();
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
