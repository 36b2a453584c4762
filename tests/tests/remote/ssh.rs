// SPDX-License-Identifier: BSD-3-Clause
//! The ssh plugin in front of a real sshd: bytes come through, wrong keys and wrong machines do not, and no failure of
//! the server is waited for in vain.

mod data;
mod host_keys;
mod login;
mod outage;
mod private;
#[path = "../../../nbdkit-plugins/ssh/tests/sshd/mod.rs"]
pub mod sshd;

use nbdkit_tests::{Server, run, tool};
use sshd::Sshd;

/// A command line for the file called `name` beside those of the server.
pub fn beside(sshd: &Sshd, name: &str) -> Vec<String> {
    at(sshd, sshd.path(name).to_str().unwrap())
}

/// The same for any path.
fn at(sshd: &Sshd, path: &str) -> Vec<String> {
    [vec!["ssh".to_owned()], sshd.params(path)].concat()
}

/// The same without the parameter called `key`, and with others at the end.
pub fn but(mut args: Vec<String>, key: &str, more: &[&str]) -> Vec<String> {
    args.retain(|arg| !arg.starts_with(&format!("{key}=")));
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    args
}

/// Panics unless a client can open the export.
#[track_caller]
fn opens(server: &Server) {
    run(tool("nbdinfo").arg("--size").arg(server.uri())).ok();
}

/// Panics unless a client cannot, and the operator is told why in one line. Returns that.
#[track_caller]
fn refuses(server: &Server) -> String {
    run(tool("nbdinfo").arg("--size").arg(server.uri())).fails();
    let stderr = server.stderr();
    // nbdinfo connects once more when the export cannot be opened.
    let mut lines: Vec<_> =
        stderr.lines().map(|line| line.split_once("error: ").map_or(line, |(_, why)| why)).collect();
    lines.dedup();
    assert_eq!(lines.len(), 1, "{stderr}");
    lines[0].to_owned()
}
