// SPDX-License-Identifier: BSD-3-Clause
//! Tables made by fdisk, sfdisk and sgdisk are found as those tools list them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nbdkit_partition_table::{Error, Kind, MAX_READ, Partition, Scan, ScanStep, Search, Step, Table};
use tempfile::TempDir;

struct Image {
    dir: TempDir,
    file: File,
    sector_size: u32,
}

impl Image {
    /// A disk of zeroes.
    fn new(size: u64, sector_size: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create_new(dir.path().join("disk.img")).unwrap();
        file.set_len(size).unwrap();
        let file = File::open(dir.path().join("disk.img")).unwrap();
        Self { dir, file, sector_size }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("disk.img")
    }

    /// Runs a tool on the image, and returns what it prints.
    fn run(&self, tool: &str, args: &[&str], input: &str) -> String {
        let path = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
        let mut child = Command::new(tool)
            .args(args)
            .arg(self.path())
            .env("PATH", path)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{tool} is needed for this test: {error}"));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{tool}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// The partitions as fdisk sees them.
    fn listed(&self) -> BTreeMap<u32, Partition> {
        let sector_size = self.sector_size.to_string();
        let said = self.run("fdisk", &["-b", &sector_size, "-l", "-o", "Device,Start,Sectors"], "");
        let lines = said.lines().filter(|line| line.contains("disk.img"));
        let partitions = lines.filter_map(|line| {
            let mut words = line.split_whitespace();
            let number = words.next()?.rsplit_once("disk.img")?.1.parse().ok()?;
            let mut bytes = || Some(words.next()?.parse::<u64>().ok()? * u64::from(self.sector_size));
            Some((number, Partition { number, offset: bytes()?, len: bytes()? }))
        });
        partitions.collect()
    }

    fn find(&self, number: u32) -> Result<Partition, Error> {
        let size = self.file.metadata().unwrap().len();
        let mut search = Search::new(size, self.sector_size, number)?;
        let mut step = search.step(None)?;
        loop {
            match step {
                Step::Read { offset, len } => step = search.step(Some(&self.read(offset, len)))?,
                Step::Found(partition) => return Ok(partition),
            }
        }
    }

    fn scan(&self) -> Table {
        let mut scan = Scan::new(self.file.metadata().unwrap().len(), self.sector_size).unwrap();
        let mut step = scan.step(None).unwrap();
        loop {
            match step {
                ScanStep::Read { offset, len } => step = scan.step(Some(&self.read(offset, len))).unwrap(),
                ScanStep::Done(table) => return table,
            }
        }
    }

    fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        assert!(0 < len && len <= MAX_READ);
        assert_eq!((offset % u64::from(self.sector_size), len as u32 % self.sector_size), (0, 0));
        let mut buf = vec![0; len];
        self.file.read_exact_at(&mut buf, offset).unwrap();
        buf
    }

    /// Checks that the partitions with these numbers are there, as fdisk lists them, and no others.
    fn check(&self, kind: Kind, numbers: &[u32]) {
        let (table, listed) = (self.scan(), self.listed());
        assert_eq!(table.kind, kind);
        assert_eq!(table.numbers().collect::<Vec<_>>(), numbers);
        for number in 1..=130 {
            let found = self.find(number);
            if numbers.contains(&number) {
                assert_eq!(found.as_ref(), Ok(&listed[&number]));
                assert_eq!(table.partition(number), found);
            } else {
                assert_eq!(found, Err(Error::NotFound { kind, number }));
            }
        }
    }
}

const SIZE: u64 = 100 << 20;

#[test]
fn mbr_primary() {
    let image = Image::new(SIZE, 512);
    image.run("sfdisk", &["-q"], "label: dos\n2048,10M,83\n,20M,ef,*\n,,7\n");
    image.check(Kind::Mbr, &[1, 2, 3]);
    assert_eq!(image.find(1), Ok(Partition { number: 1, offset: 1 << 20, len: 10 << 20 }));
    assert_eq!(image.find(4).unwrap_err().to_string(), "MBR partition 4 not found");
}

#[test]
fn mbr_logical() {
    for extended in ["5", "f", "85"] {
        let image = Image::new(SIZE, 512);
        let script =
            format!("label: dos\n2048,10M,83\n,10M\n,60M,{extended}\n,,83\n,10M\n,10M,82\n,5M\n,3M\n");
        image.run("sfdisk", &["-q"], &script);
        image.check(Kind::Mbr, &[1, 2, 4, 5, 6, 7, 8]);
    }
}

#[test]
fn mbr_logical_after_deletions_and_out_of_order() {
    let image = Image::new(SIZE, 512);
    let logical: String = (5..9).map(|n| format!("disk{n} : size=10M\n")).collect();
    image.run("sfdisk", &["-q"], &format!("label: dos\ndisk1 : start=2048, size=80M, type=5\n{logical}"));
    image.check(Kind::Mbr, &[5, 6, 7, 8]);
    image.run("fdisk", &[], "d\n6\nd\n5\nw\n");
    image.check(Kind::Mbr, &[5, 6]);
    // The new one lies where the first two were, but comes last in the chain.
    image.run("fdisk", &[], "n\nl\n4096\n+5M\nw\n");
    image.check(Kind::Mbr, &[5, 6, 7]);
    assert!(image.find(7).unwrap().offset < image.find(5).unwrap().offset);
}

#[test]
fn gpt() {
    let image = Image::new(SIZE, 512);
    image.run("sgdisk", &["-n1:2048:+10M", "-n2:0:+1M", "-n7:0:+20M", "-n128:0:0"], "");
    image.check(Kind::Gpt, &[1, 2, 7, 128]);
    assert_eq!(image.find(3).unwrap_err().to_string(), "GPT partition 3 not found");
}

#[test]
fn gpt_with_other_numbers_of_entries() {
    let image = Image::new(SIZE, 512);
    image.run("sgdisk", &["-S", "8192", "-n1:0:+1M", "-n100:0:+10M"], ""); // exactly 1 MiB of entries
    image.check(Kind::Gpt, &[1, 100]);
    let image = Image::new(SIZE, 512);
    image.run("sfdisk", &["-q"], "label: gpt\ntable-length: 5\n,1M\n,2M\n");
    image.check(Kind::Gpt, &[1, 2]);
}

#[test]
fn hybrid_mbr_is_a_gpt() {
    let image = Image::new(SIZE, 512);
    image.run("sgdisk", &["-n1:2048:+10M", "-n2:0:+30M"], "");
    image.run("sgdisk", &["-h", "2"], "");
    image.check(Kind::Gpt, &[1, 2]);
}

#[test]
fn mbr_over_a_gpt() {
    let image = Image::new(SIZE, 512);
    image.run("sgdisk", &["-n1:2048:+10M", "-n2:0:+30M"], "");
    let sector1 = image.read(512, 512);
    image.run("sfdisk", &["-q"], "label: dos\n4096,7M,83\n");
    // The tool wipes the GPT; a more careless one would have left it.
    File::options().write(true).open(image.path()).unwrap().write_all_at(&sector1, 512).unwrap();
    assert_eq!(image.find(1), Ok(Partition { number: 1, offset: 4096 * 512, len: 7 << 20 }));
}

#[test]
fn sectors_of_4096_bytes() {
    let image = Image::new(SIZE, 4096);
    image.run("fdisk", &["-b", "4096"], "g\nn\n1\n\n+10M\nn\n3\n\n+20M\nw\n");
    image.check(Kind::Gpt, &[1, 3]);
    let wrong = Image { sector_size: 512, ..image };
    assert_eq!(wrong.find(1), Err(Error::ProtectiveOnly { sector_size: 512 }));

    let image = Image::new(SIZE, 4096);
    image.run("fdisk", &["-b", "4096"], "o\nn\np\n1\n\n+10M\nn\ne\n2\n\n\nn\n\n+10M\nn\n\n+20M\nw\n");
    image.check(Kind::Mbr, &[1, 5, 6]);
}

#[test]
fn gpt_of_512_read_as_4096() {
    let image = Image::new(SIZE, 512);
    image.run("sgdisk", &["-n1:2048:+10M"], "");
    let wrong = Image { sector_size: 4096, ..image };
    let error = wrong.find(1).unwrap_err().to_string();
    assert_eq!(
        error,
        "MBR announces a GPT, but sector 1 has no GPT signature: are sectors other than 4096 bytes?"
    );
}
