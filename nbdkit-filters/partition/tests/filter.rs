// SPDX-License-Identifier: BSD-3-Clause
//! Partitions of tables that sfdisk, sgdisk and fdisk have made are served, and nothing else of the disk.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_partition_filter::Partition;
use nbdkit_plugin::conformance::{Content, Kit};
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
};

const SIZE: u64 = 64 << 20;

/// A disk in memory with a block size, which answers only later.
struct Ram {
    bytes: Arc<Mutex<Vec<u8>>>,
    minimum: u32,
}

impl Plugin for Ram {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let (bytes, minimum, read_only) = (self.bytes.clone(), self.minimum, req.read_only);
        req.blocking(move || Ok(RamDisk { bytes, minimum, read_only }))
    }
}

struct RamDisk {
    bytes: Arc<Mutex<Vec<u8>>>,
    minimum: u32,
    read_only: bool,
}

impl SyncDisk for RamDisk {
    fn info(&self) -> Result<Info> {
        let size = self.bytes.lock().unwrap().len() as u64;
        Ok(Info::writable(size).with(|info| {
            info.block = Some(BlockSize { minimum: self.minimum, preferred: 4096, maximum: u32::MAX });
            (info.flush, info.fua, info.multi_conn) = (true, Support::Native, true);
            if self.read_only {
                info.without_writing();
            }
        }))
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        buf.copy_from_slice(&self.bytes.lock().unwrap()[offset as usize..][..buf.len()]);
        Ok(())
    }

    fn pwrite(&self, data: &[u8], offset: u64, _: Flags) -> Result<()> {
        self.bytes.lock().unwrap()[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// The image of a disk that `make` has given a partition table.
fn disk(make: impl FnOnce(&Path)) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    std::fs::File::create(&path).unwrap().set_len(SIZE).unwrap();
    make(&path);
    std::fs::read(path).unwrap()
}

fn tool(name: &str, args: &[&str], image: &Path, input: &str) {
    let mut command = Command::new(name);
    command.args(args).arg(image).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Primary 1 and 2, extended 3 with logical 5 and 6, in sectors of 512 bytes.
const MBR: &str = "label: dos
start=2048, size=4096, type=83
start=8192, size=1, type=83
start=16384, size=32768, type=5
start=18432, size=2048, type=83
start=24576, size=4096, type=83
";

fn mbr() -> Vec<u8> {
    disk(|image| tool("sfdisk", &["--no-tell-kernel"], image, MBR))
}

fn gpt() -> Vec<u8> {
    disk(|image| {
        tool(
            "sgdisk",
            &["-a1", "-n", "1:2048:6143", "-n", "3:8192:8192", "-n", "128:10000:131000"],
            image,
            "",
        );
    })
}

fn chain(bench: &Bench, bytes: &Arc<Mutex<Vec<u8>>>, minimum: u32, params: &[(&str, &str)]) -> Result<Next> {
    let ram = Next::plugin("ram", Arc::new(Ram { bytes: bytes.clone(), minimum }));
    bench.filter::<Partition>("partition", params, ram)
}

/// Where partition `number` is served from: offset and length in sectors.
fn find(image: &[u8], minimum: u32, params: &[(&str, &str)]) -> Result<(u64, u64)> {
    let bench = Bench::default();
    let bytes = Arc::new(Mutex::new(image.to_vec()));
    let disk = bench.open(&chain(&bench, &bytes, minimum, params)?)?;
    let mark = *b"a mark in the first bytes of a partition";
    let write = disk.pwrite(Buf::from(mark.to_vec()), 0, Flags::default());
    bench.run(async { write.await })?;
    let changed = bytes.lock().unwrap();
    let offset = changed.windows(mark.len()).position(|window| *window == mark).unwrap() as u64;
    let others = image.iter().zip(&*changed).enumerate().filter(|(_, (old, new))| old != new);
    assert!(others.map(|(at, _)| at as u64).all(|at| (offset..offset + 40).contains(&at)));
    let sector = if minimum == 4096 { 4096 } else { 512 };
    assert_eq!((offset % sector, disk.info().size % sector), (0, 0));
    Ok((offset / sector, disk.info().size / sector))
}

fn refusal(image: &[u8], params: &[(&str, &str)]) -> String {
    match find(image, 1, params) {
        Ok(found) => panic!("{params:?} found {found:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn primary_and_logical_partitions_of_an_mbr() {
    let image = mbr();
    for (number, place) in [("1", (2048, 4096)), ("2", (8192, 1)), ("5", (18432, 2048)), ("6", (24576, 4096))]
    {
        assert_eq!(find(&image, 1, &[("partition", number)]).unwrap(), place, "partition {number}");
    }
    for number in ["3", "4", "7", "4294967295"] {
        assert_eq!(refusal(&image, &[("partition", number)]), format!("MBR partition {number} not found"));
    }
}

#[test]
fn partitions_of_a_gpt() {
    let image = gpt();
    for (number, place) in [("1", (2048, 4096)), ("3", (8192, 1)), ("128", (10_000, 121_001))] {
        assert_eq!(find(&image, 512, &[("partition", number)]).unwrap(), place, "partition {number}");
    }
    assert_eq!(refusal(&image, &[("partition", "2")]), "GPT partition 2 not found");
    assert_eq!(refusal(&image, &[("partition", "129")]), "GPT partition 129 not found");
}

#[test]
fn sectors_of_4096_bytes_where_the_disk_or_the_user_says_so() {
    let image =
        disk(|image| tool("fdisk", &["-b", "4096"], image, "g\nn\n1\n256\n767\nn\n2\n1024\n3071\nw\n"));
    assert_eq!(find(&image, 4096, &[("partition", "1")]).unwrap(), (256, 512));
    assert_eq!(find(&image, 4096, &[("partition", "2")]).unwrap(), (1024, 2048));
    let four = [("partition", "1"), ("partition-sectorsize", "4096")];
    assert_eq!(find(&image, 1, &four).unwrap(), (256 * 8, 512 * 8), "the user knows better");
    assert!(refusal(&image, &[("partition", "1")]).contains("are sectors other than 512 bytes?"));

    let image = mbr();
    let half = [("partition", "1"), ("partition-sectorsize", "512")];
    assert_eq!(find(&image, 4096, &half).unwrap(), (2048 / 8, 4096 / 8));
}

#[test]
fn a_partition_is_a_disk() {
    let bytes = mbr();
    let content = bytes[24576 * 512..][..4096 * 512].to_vec();
    let bench = Bench::default();
    let next = chain(&bench, &Arc::new(Mutex::new(bytes)), 1, &[("partition", "6")]).unwrap();
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .content(Content::Bytes(content))
    .run();
}

#[test]
fn disks_without_a_good_table_are_refused() {
    let one = [("partition", "1")];
    assert_eq!(refusal(&[0; 65536], &one), "disk does not contain MBR or GPT partition table signature");
    assert!(refusal(&[0; 10], &one).starts_with("disk is too small to be a partitioned disk: 10 bytes"));
    assert!(refusal(&mbr()[..1 << 20], &one).ends_with("reaches past the end of the disk (1048576 bytes)"));
    let mut damaged = gpt();
    damaged[1024] ^= 1;
    assert!(refusal(&damaged, &one).starts_with("GPT partition entries are damaged"));
}

#[test]
fn bad_parameters() {
    let image = [0; 1024];
    assert_eq!(refusal(&image, &[]), "you must supply the partition parameter on the command line");
    let zero = refusal(&image, &[("partition", "0")]);
    assert_eq!(zero, "partition: invalid partition number 0, should be 1 or more");
    assert!(refusal(&image, &[("partition", "-1")]).starts_with("partition: could not parse number: \"-1\""));
    let odd = refusal(&image, &[("partition", "1"), ("partition-sectorsize", "1024")]);
    assert_eq!(odd, "partition-sectorsize: unknown value '1024', should be 512, 4096");
}
