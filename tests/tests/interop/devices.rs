// SPDX-License-Identifier: BSD-3-Clause
//! The `file` plugin on block devices, here loop devices.

use std::path::{Path, PathBuf};

use nbdkit_tests::data::{assert_bytes, random};
use nbdkit_tests::files::{data_ranges, read_at, scratch, sparse};
use nbdkit_tests::raw::{cmd, flag};
use nbdkit_tests::{Feature, Server, needs, run, supports, tool};

const LEN: u64 = 64 << 20;

/// A loop device that is detached with the value.
struct Loop(PathBuf);

impl Loop {
    fn over(file: &Path, options: &[&str]) -> Self {
        Loop(run(tool("losetup").args(["--find", "--show"]).args(options).arg(file)).ok().text().into())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run(tool("losetup").arg("--detach").arg(&self.0));
    }
}

#[test]
fn a_block_device_is_read_written_zeroed_and_trimmed() {
    if !needs("loop") {
        return;
    }
    let dir = scratch();
    let image = dir.path().join("image");
    let data = random(1, LEN as usize);
    sparse(&image, LEN, &[(0, &data)]);
    let device = Loop::over(&image, &[]);
    let server = Server::start(["file".as_ref(), device.0.as_os_str()]);
    let mut client = server.connect();
    assert_eq!(client.structured("").size, LEN);
    assert_bytes("device", &client.read(0, 1 << 20).unwrap(), &data[..1 << 20]);
    // Neither aligned to the sectors of the device nor to a page.
    assert_bytes("odd", &client.read(12_345, 54_321).unwrap(), &data[12_345..][..54_321]);
    client.write(1 << 20, &random(2, 1 << 20), 0).unwrap();
    client.write((8 << 20) + 3, b"odd", 0).unwrap();
    client.call(cmd::WRITE_ZEROES, 0, 2 << 20, 1 << 20).unwrap();
    client.call(cmd::TRIM, 0, 4 << 20, 4 << 20).unwrap();
    client.call(cmd::FLUSH, 0, 0, 0).unwrap();
    assert_bytes("trimmed", &client.read(4 << 20, 4 << 20).unwrap(), &vec![0; 4 << 20]);
    client.disconnect();
    drop(server);
    drop(device);

    let mut expected = data;
    expected[1 << 20..2 << 20].copy_from_slice(&random(2, 1 << 20));
    expected[2 << 20..3 << 20].fill(0);
    expected[4 << 20..8 << 20].fill(0);
    expected[(8 << 20) + 3..][..3].copy_from_slice(b"odd");
    assert_bytes("the file below", &read_at(&image, 0, LEN as usize), &expected);
    let trimmed = (4 << 20)..(8 << 20);
    let kept =
        data_ranges(&image).into_iter().any(|range| range.start < trimmed.end && trimmed.start < range.end);
    assert!(!kept, "a trim of the device frees nothing below");
}

#[test]
fn a_device_tells_its_sector_size() {
    if !needs("loop") || !supports(Feature::DeviceBlockSize) {
        return;
    }
    let dir = scratch();
    let image = dir.path().join("image");
    sparse(&image, LEN, &[]);
    let device = Loop::over(&image, &["--sector-size", "4096"]);
    let server = Server::start(["file".as_ref(), device.0.as_os_str()]);
    let (minimum, preferred, _) = server.connect().structured("").block_size.expect("block sizes are told");
    assert_eq!(minimum, 4096);
    assert!(preferred >= 4096 && preferred.is_power_of_two(), "{preferred}");
}

#[test]
fn a_read_only_device_is_served_and_keeps_its_bytes() {
    if !needs("loop") {
        return;
    }
    let dir = scratch();
    let image = dir.path().join("image");
    let data = random(3, 65536);
    sparse(&image, LEN, &[(0, &data)]);
    let device = Loop::over(&image, &["--read-only"]);
    let server = Server::start(["file".as_ref(), device.0.as_os_str()]);
    let mut client = server.connect();
    client.structured("");
    assert_bytes("device", &client.read(0, 65536).unwrap(), &data);
    // Linux opens such a device for writing; the refusal comes with the write at the latest.
    client.write(0, &[0; 4096], flag::FUA).expect_err("a write to a read-only device");
    assert_bytes("device", &read_at(&image, 0, 65536), &data);
    server.assert_serves();
}
