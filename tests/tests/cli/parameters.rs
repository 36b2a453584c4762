// SPDX-License-Identifier: BSD-3-Clause
//! How the words after the plugin's name find the layer which they are for.

use std::fs;

use nbdkit_tests::data::{assert_bytes, random};
use nbdkit_tests::files::{read_at, scratch};
use nbdkit_tests::{Feature, Server, run, supports, tool};

use crate::run_nbdkit;

/// The size of the export of `nbdkit ARGS`.
#[track_caller]
fn size(args: &[&str]) -> u64 {
    let listen = ["-U", "-", "--run", "nbdinfo --size \"$uri\""];
    let all: Vec<&str> = listen.iter().chain(args).copied().collect();
    run_nbdkit(&all).ok().text().parse().expect("a size")
}

#[test]
fn a_bare_word_is_the_magic_key_wherever_it_stands() {
    assert_eq!(size(&["memory", "1M"]), 1 << 20);
    assert_eq!(size(&["memory", "size=1M"]), 1 << 20);
    assert_eq!(size(&["--filter=offset", "memory", "offset=512", "1M"]), (1 << 20) - 512);
    assert_eq!(size(&["memory", "1M", "-r"]), 1 << 20);
    assert_eq!(size(&["-r", "--", "memory", "1M"]), 1 << 20);
}

#[test]
fn of_a_repeated_scalar_the_last_wins() {
    assert_eq!(size(&["memory", "1M", "size=2M"]), 2 << 20);
    assert_eq!(size(&["memory", "size=2M", "3M"]), 3 << 20);
}

#[test]
fn what_looks_like_a_key_but_is_none_is_a_bare_word() {
    // Keys start with a letter: "5=6" is a value of the magic key, and no size.
    run_nbdkit(&["-U", "-", "memory", "5=6", "--run", "true"]).exits(1).says("=6");
    let dir = scratch();
    for name in ["=x", "1=2", "\u{e9}=y", "-a=b"] {
        let path = dir.path().join(name);
        fs::write(&path, [1; 512]).unwrap();
        let output = run(nbdkit_tests::nbdkit().current_dir(&dir).args([
            "-U",
            "-",
            "file",
            "--run",
            "nbdinfo --size \"$uri\"",
            "--",
            name,
        ]));
        assert_eq!(output.ok().text(), "512", "{name}");
    }
}

#[test]
fn after_two_dashes_options_are_parameters() {
    run_nbdkit(&["-U", "-", "--run", "true", "--", "memory", "1M", "--filter=offset"])
        .exits(1)
        .says("--filter=offset");
}

#[test]
fn sizes_have_their_suffixes() {
    for (text, bytes) in [
        ("0", 0),
        ("512", 512),
        ("1s", 512),
        ("3b", 3),
        ("1k", 1024),
        ("2K", 2048),
        ("1m", 1 << 20),
        ("1G", 1 << 30),
        ("7E", 7 << 60),
    ] {
        assert_eq!(size(&["memory", text]), bytes, "{text}");
    }
    assert_eq!(size(&["memory", "9223372036854775807"]), (1 << 63) - 1);
}

#[test]
fn a_filter_is_offered_a_key_before_the_plugin_and_takes_it() {
    // The file plugin refuses rdelay, with the advice to add the filter; with the filter it never sees it.
    let dir = scratch();
    let path = dir.path().join("disk");
    fs::write(&path, [1; 512]).unwrap();
    let path = path.to_str().unwrap();
    run_nbdkit(&["-U", "-", "file", path, "rdelay=1ms", "--run", "true"]).exits(1).says("--filter=delay");
    assert_eq!(size(&["--filter=delay", "file", path, "rdelay=1ms"]), 512);
}

#[test]
fn the_outermost_of_two_takes_the_key() {
    if !supports(Feature::SeparateFilters) {
        return;
    }
    // Taken by one of them, not by both, and not refused for being unknown to the plugin.
    assert_eq!(size(&["--filter=offset", "--filter=offset", "memory", "4096", "offset=1024"]), 3072);
}

#[test]
fn the_first_filter_is_nearest_to_the_client() {
    let dir = scratch();
    let disk = dir.path().join("disk");
    fs::File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    run(tool("sgdisk").args(["--clear", "-n", "1:2048:6143"]).arg(&disk)).ok();
    let data = random(1, 2 << 20);
    let file = fs::File::options().write(true).open(&disk).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &data, 2048 * 512).unwrap();
    let disk = disk.to_str().unwrap();

    // A window into the partition.
    let server =
        Server::start(["--filter=offset", "--filter=partition", "file", disk, "partition=1", "offset=1000"]);
    let mut client = server.connect();
    assert_eq!(client.structured("").size, (2 << 20) - 1000);
    assert_bytes("window", &client.read(0, 4096).unwrap(), &data[1000..5096]);
    client.write(0, b"here", 0).unwrap();
    client.disconnect();
    assert_eq!(read_at(disk.as_ref(), 2048 * 512 + 1000, 4), b"here");
    // A partition in the window: but the table is not in there.
    let server =
        Server::start(["--filter=partition", "--filter=offset", "file", disk, "partition=1", "offset=1000"]);
    run(tool("nbdinfo").arg(server.uri())).fails();
}

#[test]
fn a_plugin_without_magic_key_takes_a_bare_first_word_as_script() {
    // `zero` takes no parameters at all, `delay` has none that is bare: the rule shows in what is refused.
    if run_nbdkit(&["zero", "--version"]).status.code() != Some(0) {
        println!("this build has no plugin without a magic key");
        return;
    }
    let words = ["-U", "-", "zero", "one", "--run", "true"];
    run_nbdkit(&words).exits(1).says("configuration");
    run_nbdkit(&["-U", "-", "--filter=offset", "zero", "offset=0", "word", "--run", "true"])
        .exits(1)
        .says("word");
}
