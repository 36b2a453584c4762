// SPDX-License-Identifier: BSD-3-Clause
//! `fio` hammers the server from four jobs and verifies every block it reads back.

use std::fs;

use nbdkit_tests::files::{scratch, sparse};
use nbdkit_tests::{Server, run, tool};

fn hammer(server: &Server) {
    let dir = scratch();
    let report = dir.path().join("report");
    let output = run(tool("fio")
        .current_dir(dir.path())
        .args(["--name=verify", "--ioengine=nbd", "--uri"])
        .arg(server.uri())
        .args(["--rw=randrw", "--bsrange=512-128k", "--bs_unaligned=0", "--blockalign=512", "--size=16m"])
        .args(["--numjobs=4", "--offset_increment=16m", "--iodepth=32", "--fsync=64", "--group_reporting"])
        .args(["--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--verify_state_save=0"])
        .args(["--output-format=json", "--output"])
        .arg(&report))
    .ok();
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let job = &report["jobs"][0];
    assert_eq!(job["error"], 0, "{}", output.report());
    assert!(job["write"]["total_ios"].as_u64().unwrap() > 500, "fio did nothing: {job}");
    server.assert_serves();
}

#[test]
fn fio_verifies_four_jobs_in_memory() {
    hammer(&Server::start(["memory", "64M"]));
}

#[test]
fn fio_verifies_four_jobs_in_a_file() {
    let dir = scratch();
    let image = dir.path().join("image");
    sparse(&image, 64 << 20, &[]);
    hammer(&Server::start(["file".as_ref(), image.as_os_str()]));
}

#[test]
fn fio_verifies_four_jobs_over_cow() {
    let dir = scratch();
    let image = dir.path().join("image");
    sparse(&image, 64 << 20, &[]);
    hammer(&Server::start(["--filter=cow".as_ref(), "file".as_ref(), image.as_os_str()]));
}
