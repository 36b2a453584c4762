// SPDX-License-Identifier: BSD-3-Clause
//! The programs of libnbd: `nbdinfo` sees what is offered, `nbdsh` uses all of it, `nbdfuse` mounts it.

use std::fs;
use std::process::Stdio;

use nbdkit_tests::files::{assert_ext4_clean, scratch};
use nbdkit_tests::peers::nbdsh;
use nbdkit_tests::{Server, needs, run, tool, until};

#[test]
fn nbdinfo_sees_everything_that_memory_offers() {
    let server = Server::start(["memory", "64M"]);
    let json = run(tool("nbdinfo").arg("--json").arg(server.uri())).ok().json();
    let export = &json["exports"][0];
    assert_eq!(json["protocol"], "newstyle-fixed");
    assert_eq!(json["structured"], true);
    assert_eq!(export["export-size"], 64 << 20);
    assert_eq!(export["contexts"][0], "base:allocation");
    for can in [
        "can_cache",
        "can_df",
        "can_fast_zero",
        "can_flush",
        "can_fua",
        "can_multi_conn",
        "can_trim",
        "can_zero",
    ] {
        assert_eq!(export[can], true, "{can} in {json}");
    }
    assert_eq!(export["is_read_only"], false);
    assert_eq!(export["is_rotational"], false);
    run(tool("nbdinfo").args(["--can", "connect"]).arg(server.uri())).ok();
    run(tool("nbdinfo").args(["--is", "read-only"]).arg(server.uri())).exits(2);
    server.assert_serves();
}

#[test]
fn nbdinfo_lists_the_files_of_a_folder() {
    let dir = scratch();
    for (name, len) in [("alpha", 1000), ("beta", 2000), (".hidden", 3000)] {
        fs::File::create(dir.path().join(name)).unwrap().set_len(len).unwrap();
    }
    fs::create_dir(dir.path().join("folder")).unwrap();
    let server = Server::start(["file", &format!("dir={}", dir.path().display())]);
    let json = run(tool("nbdinfo").args(["--list", "--json"]).arg(server.uri())).ok().json();
    let mut exports: Vec<(String, u64)> = json["exports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|export| {
            (export["export-name"].as_str().unwrap().to_owned(), export["export-size"].as_u64().unwrap())
        })
        .collect();
    exports.sort();
    assert_eq!(exports, [(".hidden".into(), 3000), ("alpha".into(), 1000), ("beta".into(), 2000)]);
}

#[test]
fn nbdinfo_maps_a_disk_with_one_written_piece() {
    let server = Server::start(["memory", "1M"]);
    nbdsh(&server.uri(), "h.pwrite(b'x' * 65536, 65536)").ok();
    let map = run(tool("nbdinfo").args(["--map", "--totals", "--json"]).arg(server.uri())).ok().json();
    let data = map.as_array().unwrap().iter().find(|entry| entry["type"] == 0).expect("some data");
    assert_eq!(data["size"], 65536, "{map}");
}

#[test]
fn nbdsh_gets_back_what_it_wrote() {
    let server = Server::start(["memory", "64M"]);
    let script = r#"
import os
assert h.get_size() == 64 << 20
data = os.urandom(3 << 20)
h.pwrite(data, 12345)
assert h.pread(len(data), 12345) == data
h.pwrite(data[:4096], 0, nbd.CMD_FLAG_FUA)
h.zero(100000, 20000)
assert h.pread(100000, 20000) == bytearray(100000)
h.zero(65536, 1 << 20, nbd.CMD_FLAG_NO_HOLE)
h.zero(65536, 2 << 20, nbd.CMD_FLAG_FAST_ZERO)
h.trim(1 << 20, 32 << 20)
h.cache(1 << 20, 0)
h.flush()
chunks = []
h.pread_structured(2 << 20, 0, lambda data, offset, status, err: chunks.append((offset, len(data), status)))
assert sum(length for _, length, _ in chunks) == 2 << 20, chunks
"#;
    nbdsh(&server.uri(), script).ok();
    server.assert_serves();
}

#[test]
fn nbdsh_keeps_a_thousand_requests_in_flight() {
    let server = Server::start(["memory", "64M"]);
    let script = r#"
import random
cookies, blocks = [], {}
for i in range(1000):
    block = bytes([i & 255, i >> 8]) * 2048
    blocks[i] = block
    cookies.append(h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(block)), i * 4096))
while h.aio_in_flight() > 0:
    h.poll(-1)
assert all(h.aio_command_completed(c) for c in cookies)
order = list(range(1000))
random.shuffle(order)
reads = []
for i in order:
    buffer = nbd.Buffer(4096)
    reads.append((i, buffer, h.aio_pread(buffer, i * 4096)))
while h.aio_in_flight() > 0:
    h.poll(-1)
for i, buffer, cookie in reads:
    assert h.aio_command_completed(cookie)
    assert buffer.to_bytearray() == blocks[i], i
"#;
    nbdsh(&server.uri(), script).ok();
}

#[test]
fn nbdsh_sees_errors_as_errors() {
    let server = Server::start(["-r", "memory", "1M"]);
    let script = r#"
import errno
h.set_strict_mode(0)
def refused(call, *numbers):
    try:
        call()
    except nbd.Error as error:
        assert error.errnum in numbers, error
    else:
        assert False, "no error"
assert h.is_read_only()
refused(lambda: h.pwrite(b"x" * 512, 0), errno.EPERM)
refused(lambda: h.zero(512, 0), errno.EPERM, errno.EINVAL)
refused(lambda: h.trim(512, 0), errno.EPERM, errno.EINVAL)
refused(lambda: h.pread(512, (1 << 20) - 511), errno.EINVAL)
assert h.pread(512, (1 << 20) - 512) == bytearray(512)
"#;
    nbdsh(&server.uri(), script).ok();
}

#[test]
fn nbdfuse_carries_a_filesystem() {
    if !needs("fuse") {
        return;
    }
    let dir = scratch();
    let mountpoint = dir.path().join("mnt");
    fs::create_dir(&mountpoint).unwrap();
    let server = Server::start(["memory", "128M"]);
    let mut fuse = tool("nbdfuse").arg(&mountpoint).arg(server.uri()).stdin(Stdio::null()).spawn().unwrap();
    let disk = mountpoint.join("nbd");
    until("the file of nbdfuse appears", || {
        assert!(fuse.try_wait().unwrap().is_none(), "nbdfuse has ended");
        disk.exists()
    });
    let made = run(tool("mke2fs").args(["-q", "-F", "-t", "ext4"]).arg(&disk));
    let checked = run(tool("e2fsck").arg("-fn").arg(&disk));
    run(tool("fusermount3").arg("-u").arg(&mountpoint)).ok();
    fuse.wait().unwrap();
    made.ok();
    checked.ok();
    // The same through another door.
    let copy = dir.path().join("copy");
    run(tool("nbdcopy").arg(server.uri()).arg(&copy)).ok();
    assert_ext4_clean(&copy);
}
