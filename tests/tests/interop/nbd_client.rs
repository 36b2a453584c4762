// SPDX-License-Identifier: BSD-3-Clause
//! `nbd-client`: its list, and the kernel's own client.

use std::fs::{self, File};

use nbdkit_tests::files::scratch;
use nbdkit_tests::{Launch, Server, needs, run, tool};

#[test]
fn nbd_client_lists_exports() {
    let dir = scratch();
    for name in ["one", "two", "three"] {
        File::create(dir.path().join(name)).unwrap().set_len(4096).unwrap();
    }
    let server = Launch::new(["file", &format!("dir={}", dir.path().display())]).tcp().start();
    let port = match server.address() {
        nbdkit_tests::raw::Address::Tcp(port) => port.to_string(),
        unix => panic!("{unix:?}"),
    };
    let output = run(tool("nbd-client").args(["-l", "127.0.0.1", &port])).ok();
    let mut lines: Vec<&str> =
        output.text().lines().filter(|line| !line.starts_with("Negotiation")).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "three", "two"], "{}", output.report());
}

#[test]
fn the_kernel_mounts_what_we_serve() {
    if !needs("kernel-nbd") {
        return;
    }
    let device = free_device();
    let server = Server::start(["memory", "128M"]);
    run(tool("nbd-client").arg("-unix").arg(server.socket()).arg(&device)).ok();
    let made = run(tool("mke2fs").args(["-q", "-F", "-t", "ext4"]).arg(&device));
    let checked = run(tool("e2fsck").arg("-fn").arg(&device));
    run(tool("nbd-client").arg("-d").arg(&device)).ok();
    made.ok();
    checked.ok();
    server.assert_serves();
}

/// An NBD device of the kernel which nobody uses: one without a process number in sysfs.
fn free_device() -> String {
    (0..16)
        .find(|n| {
            let dir = format!("/sys/block/nbd{n}");
            fs::exists(&dir).unwrap() && !fs::exists(format!("{dir}/pid")).unwrap()
        })
        .map(|n| format!("/dev/nbd{n}"))
        .expect("a free /dev/nbdN")
}
