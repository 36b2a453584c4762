// SPDX-License-Identifier: BSD-3-Clause
//! The `cow` filter keeps what clients write and never touches the image below.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use nbdkit_tests::data::{assert_bytes, checksum, random};
use nbdkit_tests::files::{ext4_image, read_at, scratch, sparse};
use nbdkit_tests::peers::nbdsh;
use nbdkit_tests::raw::cmd;
use nbdkit_tests::{Server, run, tool};

const MIB: u64 = 1 << 20;

fn serve(image: &Path) -> Server {
    Server::start(["--filter=cow", "file", image.to_str().unwrap()])
}

fn read_only_image(path: &Path, len: u64) {
    sparse(path, len, &[(0, &random(7, 20 << 20)), (40 * MIB, &random(8, 10 << 20))]);
    fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn four_clients_write_and_the_image_stays_as_it_was() {
    let dir = scratch();
    let image = dir.path().join("image");
    read_only_image(&image, 64 * MIB);
    let before = checksum(&image);
    let server = serve(&image);

    thread::scope(|scope| {
        for who in 0..4_u64 {
            let (server, image) = (&server, &image);
            scope.spawn(move || one_writer(server, image, who));
        }
    });
    assert_eq!(checksum(&image), before, "the image below has changed");

    // One overlay serves all: who comes later sees what all four have written.
    let mut client = server.connect();
    client.structured("");
    for who in 0..4 {
        let expected = random(1000 * who + 3, 100_003);
        let got = client.read(who * 16 * MIB + 3 * 400_009, 100_003).unwrap();
        assert_bytes(&format!("writer {who}"), &got, &expected);
    }
    // And it goes with the server.
    client.disconnect();
    drop(server);
    let server = serve(&image);
    let mut client = server.connect();
    client.structured("");
    assert_bytes("afresh", &client.read(0, 4 << 20).unwrap(), &read_at(&image, 0, 4 << 20));
}

/// Writes odd pieces into its own 16 MiB and reads everything back, also what lies between.
fn one_writer(server: &Server, image: &Path, who: u64) {
    let base = who * 16 * MIB;
    let mut expected = read_at(image, base, 16 << 20);
    let mut client = server.connect();
    let export = client.structured("");
    assert_eq!(export.flags & 2, 0, "cow makes a read-only image writable");
    for i in 0..30 {
        let (at, data) = (i * 400_009, random(1000 * who + i, 100_003));
        client.write(base + at, &data, 0).unwrap();
        expected[at as usize..][..data.len()].copy_from_slice(&data);
    }
    let (at, len) = (13 * 400_009 + 7, 250_001);
    if export.flags & 64 != 0 {
        client.call(cmd::WRITE_ZEROES, 0, base + at, len).unwrap();
    } else {
        client.write(base + at, &vec![0; len as usize], 0).unwrap();
    }
    expected[at as usize..][..len as usize].fill(0);
    for i in 0..16 {
        let got = client.read(base + i * MIB, 1 << 20).unwrap();
        assert_bytes(&format!("writer {who}, MiB {i}"), &got, &expected[(i * MIB) as usize..][..1 << 20]);
    }
    client.call(cmd::FLUSH, 0, 0, 0).unwrap();
    client.disconnect();
}

#[test]
fn a_trim_over_the_image_reads_as_zeroes_or_as_it_was() {
    let dir = scratch();
    let image = dir.path().join("image");
    read_only_image(&image, 64 * MIB);
    let before = checksum(&image);
    let server = serve(&image);
    nbdsh(
        &server.uri(),
        "if h.can_trim():\n    old = h.pread(1<<20, 1<<20)\n    h.trim(1<<20, 1<<20)\n    \
         new = h.pread(1<<20, 1<<20)\n    assert new == old or new == bytearray(1<<20)",
    )
    .ok();
    assert_eq!(checksum(&image), before);
}

#[test]
fn the_map_shows_image_and_overlay_together() {
    let dir = scratch();
    let image = dir.path().join("image");
    read_only_image(&image, 64 * MIB);
    let server = serve(&image);
    // Data at 30 MiB where the image has a hole.
    nbdsh(&server.uri(), "h.pwrite(b'x' * 65536, 30 << 20)").ok();
    let map = run(tool("nbdinfo").args(["--map", "--json"]).arg(server.uri())).ok().json();
    let kind = |offset: u64| {
        let holds = |entry: &&serde_json::Value| {
            let start = entry["offset"].as_u64().unwrap();
            (start..start + entry["length"].as_u64().unwrap()).contains(&offset)
        };
        map.as_array().unwrap().iter().find(holds).expect("the map covers the disk")["type"].clone()
    };
    assert_eq!((kind(MIB), kind(30 * MIB), kind(45 * MIB)), (0.into(), 0.into(), 0.into()), "{map}");
    assert_ne!(kind(35 * MIB), 0, "{map}");
}

#[test]
fn a_filesystem_can_be_changed_over_cow() {
    // e2label on a copy taken over NBD, written back over NBD: the overlay holds a whole, clean filesystem.
    let dir = scratch();
    let image = ext4_image(dir.path(), "image", "256M");
    let before = checksum(&image);
    let server = serve(&image);
    let (changed, back) = (dir.path().join("changed"), dir.path().join("back"));
    run(tool("nbdcopy").arg(server.uri()).arg(&changed)).ok();
    run(tool("e2label").arg(&changed).arg("over-cow")).ok();
    run(tool("nbdcopy").arg(&changed).arg(server.uri())).ok();
    run(tool("nbdcopy").arg(server.uri()).arg(&back)).ok();
    assert_eq!(run(tool("e2label").arg(&back)).ok().text(), "over-cow");
    nbdkit_tests::files::assert_ext4_clean(&back);
    assert_eq!(checksum(&image), before);
}
