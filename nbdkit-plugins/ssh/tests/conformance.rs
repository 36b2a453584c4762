// SPDX-License-Identifier: BSD-3-Clause
//! Files served by a real sshd keep what every disk promises.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests, helpers included

mod sshd;

use nbdkit_plugin::conformance::{Content, Kit};
use nbdkit_ssh_plugin::PLUGIN;
use sshd::Sshd;
use std::fs::{self, File};

const SIZE: u64 = (1 << 20) + 123;

/// The kit for the file `name` beside those of the server.
fn kit(sshd: &Sshd, name: &str) -> Kit {
    let params = sshd.params(sshd.path(name).to_str().unwrap());
    params.iter().fold(Kit::new(PLUGIN), |kit, param| {
        let (key, value) = param.split_once('=').unwrap();
        kit.param(key, value)
    })
}

#[test]
fn a_file() {
    let sshd = Sshd::start();
    File::create_new(sshd.path("disk.img")).unwrap().set_len(SIZE).unwrap();
    kit(&sshd, "disk.img").size(SIZE).content(Content::Zeroes).operations(300).run();
}

#[test]
fn an_empty_file() {
    let sshd = Sshd::start();
    File::create_new(sshd.path("disk.img")).unwrap();
    kit(&sshd, "disk.img").size(0).run();
}

#[test]
fn a_file_that_is_made() {
    let sshd = Sshd::start();
    fs::write(sshd.path("disk.img"), "what is in the way").unwrap();
    let kit = kit(&sshd, "disk.img").param("create", "true").param("create-size", "70000");
    kit.size(70000).content(Content::Zeroes).operations(100).run();
}

#[test]
fn new_keys_all_the_time() {
    let sshd = Sshd::with("RekeyLimit 256K");
    File::create_new(sshd.path("disk.img")).unwrap().set_len(SIZE).unwrap();
    kit(&sshd, "disk.img").size(SIZE).content(Content::Zeroes).operations(100).run();
    let keys = sshd.log().matches("SSH2_MSG_NEWKEYS sent\r\n").count();
    assert!(keys > 3, "{keys} times");
}

#[test]
fn compressed() {
    let sshd = Sshd::start();
    File::create_new(sshd.path("disk.img")).unwrap().set_len(SIZE).unwrap();
    let kit = kit(&sshd, "disk.img").param("compression", "true");
    kit.size(SIZE).content(Content::Zeroes).operations(300).run();
}
