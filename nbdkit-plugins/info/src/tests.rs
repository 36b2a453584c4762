// SPDX-License-Identifier: BSD-3-Clause
//! What each mode tells.

use super::*;
use image::encode;
use std::{
    ffi::OsStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

fn plugin(mode: &str) -> InfoPlugin {
    let mut plugin = InfoPlugin::default();
    assert_eq!(plugin.config("mode", OsStr::new(mode)).unwrap(), Taken::Yes);
    plugin
}

fn whole(image: &Image) -> Vec<u8> {
    let mut bytes = vec![0; image.len() as usize];
    image.read(&mut bytes, 0);
    bytes
}

fn told(mode: &str, export: &str, peer: Peer) -> Result<String> {
    plugin(mode).image(export, peer).map(|image| String::from_utf8(whole(&image)).unwrap())
}

/// A time as it is read.
fn time(image: &Image) -> Duration {
    let bytes = whole(image);
    let secs = u64::from_be_bytes(bytes[..8].try_into().unwrap());
    let micros = u32::from_be_bytes(bytes[8..].try_into().unwrap());
    assert!(micros < 1_000_000);
    Duration::new(secs, micros * 1000)
}

#[test]
fn export_names() {
    assert_eq!(told("exportname", "a/b é", Peer::Unix).unwrap(), "a/b é");
    assert_eq!(told("exportname", "", Peer::Unix).unwrap(), "");
    assert_eq!(told("base64exportname", "aGVsbG8=", Peer::Unix).unwrap(), "hello");
    let error = told("base64exportname", "aGVsbG8", Peer::Unix).unwrap_err();
    assert_eq!(error.to_string(), "export name \"aGVsbG8\" should be base64, padded with =");
}

#[test]
fn addresses() {
    for (peer, address) in [
        (Peer::Ip("192.0.2.1:47000".parse().unwrap()), "192.0.2.1:47000"),
        (Peer::Ip("[2001:db8::1]:47000".parse().unwrap()), "[2001:db8::1]:47000"),
        (Peer::Ip("[fe80::1%3]:47000".parse().unwrap()), "[fe80::1]:47000"),
        (Peer::Unix, "unix"),
        (Peer::Vsock { cid: 3, port: 47000 }, "3:47000"),
    ] {
        assert_eq!(told("address", "", peer).unwrap(), address);
    }
    assert!(told("address", "", Peer::Other).unwrap_err().to_string().starts_with("mode=address: "));
}

#[test]
fn times_are_numbers() {
    let bytes = encode(Duration::new(0x0102_0304_0506_0708, 999_999_999));
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0x0f, 0x42, 0x3f]);
}

#[test]
fn clocks_go_on_while_the_disk_is_open() {
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let clock = plugin("time").image("", Peer::Unix).unwrap();
    let first = time(&clock);
    assert!(first + Duration::from_micros(1) > before && first < before + Duration::from_secs(60));
    while time(&clock) == first {}

    let mut server = plugin("uptime");
    let age = Duration::from_secs(5);
    server.started = server.started.checked_sub(age).unwrap();
    let up = server.image("", Peer::Unix).unwrap();
    let first = time(&up);
    assert!(first >= age);
    while time(&up) == first {}
    // The connection is younger than the server.
    let mut of_connection = plugin("conntime");
    of_connection.started = server.started;
    let connected = of_connection.image("", Peer::Unix).unwrap();
    assert!(time(&connected) < time(&up));
}

#[test]
fn part_of_a_clock_can_be_read() {
    let mut secs = [0xee; 4];
    plugin("conntime").image("", Peer::Unix).unwrap().read(&mut secs, 4);
    assert!(u32::from_be_bytes(secs) < 60);
}

#[test]
fn unknown_modes_are_named() {
    let error = InfoPlugin::default().config("mode", OsStr::new("bad")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "mode: unknown mode: 'bad', should be exportname, base64exportname, address, time, uptime, conntime, version"
    );
}
