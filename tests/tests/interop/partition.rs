// SPDX-License-Identifier: BSD-3-Clause
//! The `partition` filter serves one partition as a disk of its own.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nbdkit_tests::data::{assert_bytes, assert_same, checksum, random};
use nbdkit_tests::files::{assert_ext4_clean, ext4_image, read_at, scratch};
use nbdkit_tests::{Server, run, run_with, tool};

const SECTOR: u64 = 512;
const FIRST: u64 = 2048;
const SECOND: u64 = FIRST + (256 << 20) / SECTOR;
const SIZE: u64 = 600 << 20;

/// A GPT disk with the two filesystems in it.
fn gpt_disk(dir: &Path, filesystems: [&PathBuf; 2]) -> PathBuf {
    let disk = dir.join("disk");
    File::create(&disk).unwrap().set_len(SIZE).unwrap();
    let parts =
        [format!("1:{FIRST}:{}", SECOND - 1), format!("2:{SECOND}:{}", SECOND + (256 << 20) / SECTOR - 1)];
    run(tool("sgdisk").args(["--clear", "-n", &parts[0], "-n", &parts[1]]).arg(&disk)).ok();
    for (image, first) in filesystems.into_iter().zip([FIRST, SECOND]) {
        let seek = format!("seek={first}");
        run(tool("dd")
            .args(["bs=512", "conv=notrunc,sparse", "status=none", &seek])
            .arg(format!("if={}", image.display()))
            .arg(format!("of={}", disk.display())))
        .ok();
    }
    disk
}

fn serve(disk: &Path, number: u32) -> Server {
    let number = format!("partition={number}");
    Server::start(["--filter=partition", "file", disk.to_str().unwrap(), &number])
}

#[test]
fn each_filesystem_of_a_gpt_disk_is_served_whole() {
    let dir = scratch();
    let one = ext4_image(dir.path(), "one", "256M");
    let two = dir.path().join("two");
    fs::create_dir(dir.path().join("tree")).unwrap();
    fs::write(dir.path().join("tree/only-here"), random(9, 100_000)).unwrap();
    run(tool("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(dir.path().join("tree")).arg(&two).arg("256M"))
        .ok();
    let disk = gpt_disk(dir.path(), [&one, &two]);

    for (number, image) in [(1, &one), (2, &two)] {
        let server = serve(&disk, number);
        let copy = dir.path().join("copy");
        run(tool("nbdcopy").arg(server.uri()).arg(&copy)).ok();
        assert_same(&copy, image);
        assert_ext4_clean(&copy);
    }

    // A write to the second leaves the first alone, and the tables.
    let table = read_at(&disk, 0, (FIRST * SECTOR) as usize);
    let server = serve(&disk, 2);
    let mut client = server.connect();
    let export = client.structured("");
    assert_eq!(export.size, 256 << 20);
    let data = random(5, 70_001);
    client.write(export.size - data.len() as u64, &data, 0).expect("write to the very end");
    client.write(export.size, &[1], 0).expect_err("write past the end");
    client.disconnect();
    let end = SECOND * SECTOR + export.size;
    assert_bytes("end of the second", &read_at(&disk, end - data.len() as u64, data.len()), &data);
    assert_bytes("tables", &read_at(&disk, 0, table.len()), &table);
    let copy = dir.path().join("copy");
    run(tool("nbdcopy").arg(serve(&disk, 1).uri()).arg(&copy)).ok();
    assert_eq!(checksum(&copy), checksum(&one));
}

#[test]
fn mbr_primary_and_logical_partitions_are_served() {
    let dir = scratch();
    let disk = dir.path().join("disk");
    let file = File::create(&disk).unwrap();
    file.set_len(64 << 20).unwrap();
    let mut script = tempfile::tempfile().unwrap();
    // A primary, an extended one, and two logical ones within.
    write!(script, "label: dos\nstart=2048, size=4096, type=83\nstart=8192, size=65536, type=5\n").unwrap();
    write!(script, "start=10240, size=2048, type=83\nstart=16384, size=8192, type=83\n").unwrap();
    std::io::Seek::rewind(&mut script).unwrap();
    run_with(tool("sfdisk").args(["-q", "--no-reread", "--no-tell-kernel"]).arg(&disk), Stdio::from(script))
        .ok();

    for (number, start, sectors) in [(1, 2048, 4096), (5, 10240, 2048), (6, 16384, 8192)] {
        let data = random(number, 8192);
        file.write_all_at(&data, start * SECTOR).unwrap();
        let server = serve(&disk, number as u32);
        let mut client = server.connect();
        assert_eq!(client.structured("").size, sectors * SECTOR, "partition {number}");
        assert_bytes(&format!("partition {number}"), &client.read(0, 8192).unwrap(), &data);
    }
}

#[test]
fn a_missing_partition_or_table_is_an_error_that_says_so() {
    let dir = scratch();
    let disk = dir.path().join("disk");
    File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    let server = serve(&disk, 1);
    run(tool("nbdinfo").arg(server.uri())).fails();
    assert!(server.stderr().contains("partition"), "{}", server.stderr());

    run(tool("sgdisk").args(["--clear", "-n", "1:2048:4095"]).arg(&disk)).ok();
    let server = serve(&disk, 7);
    run(tool("nbdinfo").arg(server.uri())).fails();
    assert!(server.stderr().contains('7'), "{}", server.stderr());
    // The same server, asked again, still answers.
    run(tool("nbdinfo").arg(server.uri())).fails();
}
