// SPDX-License-Identifier: BSD-3-Clause
//! What `qemu-io` writes is in the file afterwards, in the right place, and nowhere else.

use std::fs;
use std::path::Path;

use nbdkit_tests::data::assert_bytes;
use nbdkit_tests::files::{assert_ext4_clean, data_ranges, ext4_image, read_at, room, scratch};
use nbdkit_tests::{Output, Server, run, tool};

const MIB: u64 = 1 << 20;

fn qemu_io(uri: &str, commands: &[String]) -> Output {
    let mut command = tool("qemu-io");
    command.args(["-f", "raw"]);
    for text in commands {
        command.arg("-c").arg(text);
    }
    let output = run(command.arg(uri)).ok();
    // qemu-io exits with 0 when a command fails.
    assert!(!output.report().contains("failed"), "{}", output.report());
    output
}

fn pattern(image: &Path, offset: u64, len: u64, byte: u8) {
    assert_bytes(
        &format!("offset {offset}"),
        &read_at(image, offset, len as usize),
        &vec![byte; len as usize],
    );
}

fn has_data(image: &Path, start: u64, len: u64) -> bool {
    data_ranges(image).iter().any(|range| range.start < start + len && start < range.end)
}

#[test]
fn writes_zeroes_and_discards_land_and_the_filesystem_stays_clean() {
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "1G");
    let at = room(&image);
    assert!(at.end - at.start >= 16 * MIB, "/room has only {at:?} in one piece");
    let around = |image: &Path| {
        (read_at(image, at.start - MIB, MIB as usize), read_at(image, at.start + 12 * MIB, MIB as usize))
    };
    let before = around(&image);

    let server = Server::start(["file".as_ref(), image.as_os_str()]);
    let start = |i: u64| at.start + i * MIB;
    let commands = [
        format!("write -P 0x41 {} 1M", start(0)),
        format!("write -f -P 0x42 {} 64k", start(1)),
        // Neither aligned nor round.
        format!("write -P 0x43 {} 4608", start(2) + 512),
        format!("write -z {} 1M", start(3)),
        format!("write -z -u {} 1M", start(4)),
        format!("write -z -f {} 1M", start(5)),
        format!("discard {} 1M", start(6)),
        // 11 pieces of data with FUA, more than one in flight.
        format!("aio_write -f -P 0x44 {} 1M", start(7)),
        format!("aio_write -P 0x45 {} 4M", start(8)),
        "aio_flush".to_owned(),
        "flush".to_owned(),
        format!("read -P 0x41 {} 1M", start(0)),
        format!("read -P 0 {} 3M", start(3)),
    ];
    let output = qemu_io(&server.uri(), &commands);
    assert!(!output.report().contains("Pattern verification"), "{}", output.report());

    pattern(&image, start(0), MIB, 0x41);
    pattern(&image, start(1), 64 << 10, 0x42);
    pattern(&image, start(2) + 512, 4608, 0x43);
    pattern(&image, start(3), 3 * MIB, 0);
    pattern(&image, start(7), MIB, 0x44);
    pattern(&image, start(8), 4 * MIB, 0x45);
    assert!(!has_data(&image, start(4), MIB), "write -z -u leaves data where a hole could be");
    assert!(!has_data(&image, start(6), MIB), "discard leaves data where a hole could be");
    assert!(around(&image) == before, "bytes beside the writes have changed");
    assert_ext4_clean(&image);
    server.assert_serves();
}

#[test]
fn a_filesystem_written_over_nbd_is_clean() {
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "256M");
    let blank = dir.path().join("blank");
    fs::File::create(&blank).unwrap().set_len(256 * MIB).unwrap();
    let server = Server::start(["file".as_ref(), blank.as_os_str()]);
    run(tool("qemu-img").args(["convert", "-n", "-f", "raw", "-O", "raw"]).arg(&image).arg(server.uri()))
        .ok();
    nbdkit_tests::data::assert_same(&blank, &image);
    assert_ext4_clean(&blank);
}
