// SPDX-License-Identifier: BSD-3-Clause
//! The `offset` filter serves a window, also one of odd place and length.

use nbdkit_tests::data::{assert_bytes, random};
use nbdkit_tests::files::{read_at, scratch, sparse};
use nbdkit_tests::raw::{cmd, err};
use nbdkit_tests::{Server, run, tool};

const LEN: u64 = 3_000_001;

fn fixture(args: &[&str]) -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>, Server) {
    let dir = scratch();
    let image = dir.path().join("image");
    let data = random(4, LEN as usize);
    sparse(&image, LEN, &[(0, &data)]);
    let all: Vec<&str> =
        ["--filter=offset", "file", image.to_str().unwrap()].iter().chain(args).copied().collect();
    let server = Server::start(all);
    (dir, image, data, server)
}

#[test]
fn an_odd_window_is_exactly_that_window() {
    let (_dir, image, data, server) = fixture(&["offset=13", "range=1000001"]);
    assert_eq!(run(tool("nbdinfo").arg("--size").arg(server.uri())).ok().text(), "1000001");
    let mut client = server.connect();
    client.structured("");
    assert_bytes("window", &client.read(0, 1_000_001).unwrap(), &data[13..1_000_014]);
    assert_bytes("last byte", &client.read(1_000_000, 1).unwrap(), &data[1_000_013..1_000_014]);
    assert_eq!(client.read(1_000_000, 2), Err(err::EINVAL));
    assert!(matches!(client.write(1_000_000, b"ab", 0), Err(err::ENOSPC | err::EINVAL)));

    client.write(1_000_000, b"E", 0).unwrap();
    client.write(0, b"B", 0).unwrap();
    client.call(cmd::WRITE_ZEROES, 0, 501, 1003).unwrap();
    client.disconnect();
    let mut expected = data;
    expected[13] = b'B';
    expected[1_000_013] = b'E';
    expected[13 + 501..13 + 501 + 1003].fill(0);
    assert_bytes("the whole file", &read_at(&image, 0, LEN as usize), &expected);
}

#[test]
fn without_range_the_window_reaches_to_the_end() {
    let (_dir, _image, data, server) = fixture(&["offset=13"]);
    let mut client = server.connect();
    assert_eq!(client.structured("").size, LEN - 13);
    assert_bytes("to the end", &client.read(0, (LEN - 13) as u32).unwrap(), &data[13..]);
}

#[test]
fn the_map_of_a_window_is_shifted() {
    let dir = scratch();
    let image = dir.path().join("image");
    sparse(&image, 4 << 20, &[(1 << 20, &random(1, 1 << 20))]);
    let server =
        Server::start(["--filter=offset", "file", image.to_str().unwrap(), "offset=512k", "range=3M"]);
    let map = run(tool("nbdinfo").args(["--map", "--json"]).arg(server.uri())).ok().json();
    let entries: Vec<(u64, u64, bool)> = map
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (entry["offset"].as_u64().unwrap(), entry["length"].as_u64().unwrap(), entry["type"] == 0)
        })
        .collect();
    assert_eq!(entries, [(0, 512 << 10, false), (512 << 10, 1 << 20, true), (1536 << 10, 1536 << 10, false)]);
}

#[test]
fn a_window_beyond_the_disk_is_refused_with_its_numbers() {
    for args in [["offset=3000002", "range=0"], ["offset=2000000", "range=1000002"]] {
        let (_dir, _image, _data, server) = fixture(&args);
        run(tool("nbdinfo").arg(server.uri())).fails();
        let wrong = args[0].strip_prefix("offset=").unwrap();
        assert!(server.stderr().contains(wrong), "{args:?}: {}", server.stderr());
    }
}
