// SPDX-License-Identifier: BSD-3-Clause
//! Extended headers: 64-bit requests, with the peers that speak them (qemu since 8.2, libnbd since 1.18).

use nbdkit_tests::data::assert_same;
use nbdkit_tests::files::{ext4_image, scratch};
use nbdkit_tests::peers::trixie;
use nbdkit_tests::raw::{Block, cmd, err};
use nbdkit_tests::{Feature, Server, run, supports, tool};

const GIB: u64 = 1 << 30;

/// qemu's own account of the handshake. Panics when this qemu is too old to ask.
#[track_caller]
fn qemu_negotiates_extended_headers(uri: &str) {
    let trace = run(tool("qemu-img").args(["--trace", "nbd_*", "info", "-f", "raw"]).arg(uri)).ok();
    assert!(
        trace.stderr.contains("Sending option request 11 (extended headers)"),
        "this qemu is older than 8.2: install one from backports\n{}",
        trace.report()
    );
    assert!(
        trace.stderr.contains("Received option reply 11 (extended headers), type 1 (ack)"),
        "{}",
        trace.report()
    );
}

#[test]
fn qemu_copies_and_maps_with_extended_headers() {
    if !supports(Feature::ExtendedHeaders) {
        return;
    }
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "1G");
    let server = Server::start(["file".as_ref(), image.as_os_str()]);
    qemu_negotiates_extended_headers(&server.uri());
    let copy = dir.path().join("copy");
    run(tool("qemu-img").args(["convert", "-f", "raw", "-O", "raw"]).arg(server.uri()).arg(&copy)).ok();
    assert_same(&copy, &image);
    let io =
        run(tool("qemu-io").args(["-f", "raw", "-c", "write -z -u 0 1G", "-c", "map"]).arg(server.uri()))
            .ok();
    assert!(!io.report().contains("failed"), "{}", io.report());
}

#[test]
fn a_newer_libnbd_copies_and_maps_with_extended_headers() {
    if !supports(Feature::ExtendedHeaders) {
        return;
    }
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "1G");
    let server = Server::start(["file".as_ref(), image.as_os_str()]);
    let info = run(trixie("nbdinfo").arg(server.uri())).ok();
    assert!(info.text().contains("using extended packets"), "{}", info.report());
    let old = run(tool("nbdinfo").args(["--map", "--json"]).arg(server.uri())).ok().json();
    let new = run(trixie("nbdinfo").args(["--map", "--json"]).arg(server.uri())).ok().json();
    assert_eq!(new, old, "the map depends on the headers");
    let copy = dir.path().join("copy");
    run(trixie("nbdcopy").arg(server.uri()).arg(&copy)).ok();
    assert_same(&copy, &image);
}

#[test]
fn a_newer_libnbd_also_works_without_them() {
    let server = Server::start(["--no-sr", "memory", "64M"]);
    let info = run(trixie("nbdinfo").arg(server.uri())).ok();
    assert!(info.text().contains("using simple packets"), "{}", info.report());
}

#[test]
fn one_request_reaches_over_4_gib() {
    if !supports(Feature::ExtendedHeaders) {
        return;
    }
    let server = Server::start(["memory", "20G"]);
    let mut client = server.connect();
    assert_eq!(client.extended("").size, 20 * GIB);
    client.write(GIB, &[1; 4096], 0).unwrap();
    client.write(9 * GIB, &[2; 4096], 0).unwrap();
    client.write(19 * GIB, &[3; 4096], 0).unwrap();

    // A hole longer than 32 bits can say is told in one piece.
    let blocks = client.block_status(9 * GIB + 65536, 8 * GIB).unwrap();
    assert!(matches!(blocks[..], [Block { len, flags: 3 }, ..] if len >= 8 * GIB), "{blocks:?}");
    // Zeroes and trims of more than 4 GiB are done in one request, to the byte.
    client.call(cmd::WRITE_ZEROES, 0, GIB + 1, 10 * GIB).unwrap();
    let mut expected = vec![0; 4096];
    expected[0] = 1;
    assert_eq!(client.read(GIB, 4096).unwrap(), expected);
    assert_eq!(client.read(9 * GIB, 4096).unwrap(), [0; 4096]);
    assert_eq!(client.read(19 * GIB, 4096).unwrap(), [3; 4096]);
    client.call(cmd::TRIM, 0, 11 * GIB, 9 * GIB).unwrap();
    client.call(cmd::CACHE, 0, 0, 20 * GIB).unwrap();
    assert_eq!(client.call(cmd::WRITE_ZEROES, 0, GIB, 19 * GIB + 1), Err(err::ENOSPC));
    assert_eq!(client.call(cmd::TRIM, 0, GIB, u64::MAX), Err(err::EINVAL));
    server.assert_serves();
}
