// SPDX-License-Identifier: BSD-3-Clause
//! The example programs of the library do what they say.

use nbdkit_tests::{
    eventually,
    raw::{Address, Client},
    until,
};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// Cargo builds examples next to the directory of the test programs.
fn example(name: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path.join("examples").join(name);
    assert!(path.exists(), "{} is built by `cargo test --workspace`", path.display());
    Command::new(path)
}

#[test]
fn a_plugin_of_ones_own_gets_the_whole_command_line() {
    let output = example("own_plugin")
        .args([
            "counter",
            "1M",
            "--filter=offset",
            "offset=250",
            "--run",
            "nbdcopy \"$uri\" - | head -c 10 | od -An -tu1",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let bytes: Vec<u8> = String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .map(|byte| byte.parse().unwrap())
        .collect();
    assert_eq!(bytes, [250, 251, 252, 253, 254, 255, 0, 1, 2, 3]);
}

#[test]
fn a_server_without_a_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let mut child =
        example("embedded").arg(&path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut client = eventually(|| Client::connect(&Address::Unix(path.clone())).ok()).expect("it listens");
    client.structured("");
    assert_eq!(client.read(0, 18).unwrap(), b"Hello from inside.");
    drop(child.stdin.take());
    until("it ends with its input", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
}
