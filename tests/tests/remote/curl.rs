// SPDX-License-Identifier: BSD-3-Clause
//! The curl plugin against nginx and Apache, and against servers that do what these never would.

mod as_typed;
pub mod authority;
mod headers;
mod lies;
pub mod nginx;
pub mod origin;
mod proxies;
mod reading;
mod redirects;
mod refusals;
mod secrets;
mod tls;
pub mod writing;

use std::path::Path;

use nbdkit_tests::{Output, Server, data::assert_same, nbdkit, run, tool};

/// Copies the whole disk with nbdcopy and compares it with `file`.
#[track_caller]
pub fn assert_serves_bytes_of(server: &Server, file: &Path) {
    let copy = tempfile::NamedTempFile::new().unwrap();
    run(tool("nbdcopy").arg(server.uri()).arg(copy.path())).ok();
    assert_same(copy.path(), file);
}

/// What happens when a client opens a disk that cannot be had: nbdinfo fails, and the server says why.
#[track_caller]
fn open(args: &[&str]) -> Output {
    run(nbdkit().args(["-U", "-", "-r", "curl"]).args(args).args(["--run", "nbdinfo --size \"$uri\""]))
}
