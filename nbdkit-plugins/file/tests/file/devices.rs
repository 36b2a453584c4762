// SPDX-License-Identifier: BSD-3-Clause
//! Block devices.

use crate::{
    bench::{Bench, directory, make},
    loopdev::Loop,
};
use nbdkit_plugin::{BlockSize, EOPNOTSUPP};
use std::{fs, os::unix::fs::MetadataExt};

const SIZE: u64 = 1 << 20;

#[test]
fn what_a_device_says_of_itself() {
    let dir = directory();
    let path = make(&dir, "disk.img", &[1; SIZE as usize]);
    for (options, sector) in [(&[][..], 512), (&["--sector-size", "4096"], 4096)] {
        let Some(device) = Loop::new(&path, options) else { return };
        let client = Bench::of_file(device.path()).open("").unwrap();
        let info = client.info();
        assert_eq!((info.size, info.write), (SIZE, true));
        let BlockSize { minimum, preferred, maximum } = info.block.unwrap();
        assert_eq!((minimum, maximum), (sector, u32::MAX));
        assert!(preferred >= sector);
        let queue = format!("/sys/class/block/{}/queue", device.path().file_name().unwrap().display());
        let rotational = fs::read_to_string(format!("{queue}/rotational")).unwrap();
        assert_eq!(info.rotational, rotational.trim() == "1");
    }
}

#[test]
fn a_read_only_device() {
    let dir = directory();
    let path = make(&dir, "disk.img", &[1; SIZE as usize]);
    let Some(device) = Loop::new(&path, &["--read-only"]) else { return };
    let client = Bench::of_file(device.path()).open("").unwrap();
    assert!(!client.info().write && !client.info().trim);
    assert_eq!(client.read(1, SIZE - 1).unwrap(), [1]);
}

#[test]
fn a_directory_serves_devices_through_links() {
    let dir = directory();
    let path = make(&dir, "disk.img", &[1; SIZE as usize]);
    let Some(device) = Loop::new(&path, &[]) else { return };
    std::os::unix::fs::symlink(device.path(), dir.path().join("device")).unwrap();
    let bench = Bench::new(&[("dir", dir.path())]).unwrap();
    assert_eq!(bench.list().unwrap().unwrap(), ["device", "disk.img"]);
    assert_eq!(bench.open("device").unwrap().info().size, SIZE);
}

#[test]
fn trim_and_zero_reach_the_device() {
    let dir = directory();
    let path = make(&dir, "disk.img", &[0xaa; SIZE as usize]);
    let Some(device) = Loop::new(&path, &[]) else { return };
    let client = Bench::of_file(device.path()).open("").unwrap();
    let blocks = || {
        client.flush();
        fs::File::open(&path).unwrap().sync_all().unwrap();
        fs::metadata(&path).unwrap().blocks() * 512
    };
    let full = blocks();
    // A loop device passes a discard on to its file. Parts of sectors at both ends are left alone.
    client.trim((64 << 10) - 1, (128 << 10) + 2).unwrap();
    assert_eq!(full - blocks(), 128 << 10);
    assert_eq!(client.read(1, (64 << 10) - 1).unwrap(), [0xaa]);
    assert_eq!(client.read(1, 192 << 10).unwrap(), [0xaa]);
    client.trim(1, 100).unwrap();

    client.zero(256 << 10, 128 << 10, true).unwrap();
    assert_eq!(full - blocks(), 256 << 10);
    client.zero(512 << 10, 512, false).unwrap();
    assert_eq!(client.read(514, (512 << 10) - 1).unwrap(), [&[0xaa][..], &[0; 512], &[0xaa]].concat());
    // For the server to write.
    let error = client.zero((512 << 10) + 1, 1024, true).unwrap_err();
    assert_eq!(error.errno(), EOPNOTSUPP);
    client.zero(768 << 10, 512, true).unwrap();
    assert_eq!(client.read(512, 768 << 10).unwrap(), [0; 512], "one odd request does not end zeroing");

    client.write(b"odd", 1001).unwrap();
    client.write_through(b"ends", 5001).unwrap();
    client.flush();
    client.close();
    drop(device);
    let file = fs::read(&path).unwrap();
    assert_eq!((&file[1000..1005], &file[5000..5006]), (&b"\xaaodd\xaa"[..], &b"\xaaends\xaa"[..]));
}
