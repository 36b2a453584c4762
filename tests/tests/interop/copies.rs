// SPDX-License-Identifier: BSD-3-Clause
//! A copy of a served disk is the disk: the same bytes, and holes in the same places.

use std::ops::Range;
use std::path::Path;

use nbdkit_tests::data::assert_same;
use nbdkit_tests::files::{data_ranges, ext4_image, scratch};
use nbdkit_tests::{Output, Server, run, tool};

fn serve(image: &Path) -> Server {
    Server::start(["file".as_ref(), image.as_os_str()])
}

#[test]
fn nbdcopy_makes_an_equal_file() {
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "1G");
    let server = serve(&image);
    let copy = dir.path().join("copy");
    run(tool("nbdcopy").arg(server.uri()).arg(&copy)).ok();
    assert_same(&copy, &image);
}

#[test]
fn qemu_img_convert_makes_an_equal_file() {
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "1G");
    let server = serve(&image);
    let copy = dir.path().join("copy");
    run(tool("qemu-img").args(["convert", "-f", "raw", "-O", "raw"]).arg(server.uri()).arg(&copy)).ok();
    assert_same(&copy, &image);
    run(tool("qemu-img").args(["compare", "-f", "raw", "-F", "raw"]).arg(server.uri()).arg(&copy)).ok();
}

#[test]
fn nbdcopy_between_two_servers_carries_data_and_holes() {
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "1G");
    let (from, to) = (serve(&image), Server::start(["memory", "1G"]));
    run(tool("nbdcopy").arg(from.uri()).arg(to.uri())).ok();
    let copy = dir.path().join("copy");
    run(tool("nbdcopy").arg(to.uri()).arg(&copy)).ok();
    assert_same(&copy, &image);
}

#[test]
fn qemu_img_map_shows_the_holes_of_the_file() {
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "1G");
    let server = serve(&image);
    let map = run(tool("qemu-img").args(["map", "--output=json", "-f", "raw"]).arg(server.uri())).ok();
    let expected = data_ranges(&image);
    assert!(expected.len() > 3, "the image is too simple to prove anything: {expected:?}");
    assert_eq!(data_in(&map, "start", |entry| entry["data"] == true), expected);
}

#[test]
fn nbdinfo_map_shows_the_holes_of_the_file() {
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "1G");
    let server = serve(&image);
    let map = run(tool("nbdinfo").args(["--map", "--json"]).arg(server.uri())).ok();
    assert_eq!(data_in(&map, "offset", |entry| entry["type"] == 0), data_ranges(&image));
}

/// The ranges with data of a map in JSON, neighbours joined.
fn data_in(map: &Output, start: &str, is_data: impl Fn(&serde_json::Value) -> bool) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for entry in map.json().as_array().expect("a map is a list") {
        let start = entry[start].as_u64().expect("a start");
        let end = start + entry["length"].as_u64().expect("a length");
        match ranges.last_mut() {
            _ if !is_data(entry) => {}
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}
