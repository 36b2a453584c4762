// SPDX-License-Identifier: BSD-3-Clause
//! Scratch folders, disk images, and where a file has data.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use tempfile::TempDir;

use crate::command::{run, tool};
use crate::data::random;

/// A folder for images, gone with the value. On the disk of the build, as `/tmp` may be memory without holes.
pub fn scratch() -> TempDir {
    let exe = std::env::current_exe().unwrap();
    let base = exe.ancestors().nth(2).expect("a test lives in target/PROFILE/deps").join("scratch");
    fs::create_dir_all(&base).unwrap();
    tempfile::Builder::new().prefix("t").tempdir_in(base).unwrap()
}

/// A sparse file of `len` bytes with `pieces` of (offset, bytes) written into it.
pub fn sparse(path: &Path, len: u64, pieces: &[(u64, &[u8])]) {
    let file = File::create(path).unwrap();
    file.set_len(len).unwrap();
    for (offset, bytes) in pieces {
        file.write_all_at(bytes, *offset).unwrap();
    }
    file.sync_all().unwrap();
}

/// Reads `len` bytes at `offset` of a file.
pub fn read_at(path: &Path, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    File::open(path).unwrap().read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

/// Where a file has data, as `SEEK_DATA` and `SEEK_HOLE` tell.
pub fn data_ranges(path: &Path) -> Vec<Range<u64>> {
    let file = File::open(path).unwrap();
    let end = file.metadata().unwrap().len();
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < end {
        // ENXIO: no data from here to the end.
        let Ok(data) = rustix::fs::seek(&file, SeekFrom::Data(at)) else { break };
        let hole = rustix::fs::seek(&file, SeekFrom::Hole(data)).unwrap();
        ranges.push(data..hole);
        at = hole;
    }
    ranges
}

/// A sparse ext4 image of `size` (as `mke2fs` takes it), filled from a real folder made here.
///
/// It has files with data and with holes, and `/room`: 64 MiB in one piece that tests may overwrite as they
/// like without harming the filesystem; see [`room`].
pub fn ext4_image(dir: &Path, name: &str, size: &str) -> PathBuf {
    let tree = dir.join(format!("{name}.d"));
    fs::create_dir_all(tree.join("sub/deep")).unwrap();
    fs::write(tree.join("room"), random(1, 64 << 20)).unwrap();
    fs::write(tree.join("sub/noise"), random(2, 20_000_003)).unwrap();
    fs::write(tree.join("sub/deep/text"), "a line\n".repeat(5000)).unwrap();
    sparse(&tree.join("holes"), 100 << 20, &[(0, b"start"), (50 << 20, &random(3, 1 << 20))]);
    let image = dir.join(name);
    run(tool("mke2fs").args(["-q", "-F", "-t", "ext4", "-d"]).arg(&tree).arg(&image).arg(size)).ok();
    fs::remove_dir_all(tree).unwrap();
    image
}

/// The bytes of an [`ext4_image`] which belong to the longest piece of `/room`, from `debugfs`.
pub fn room(image: &Path) -> Range<u64> {
    let output = run(tool("debugfs").args(["-R", "dump_extents -l room"]).arg(image)).ok();
    // " 0/ 0   1/  2     0 - 32766   34816 - 67582   32767": the physical blocks follow the logical ones.
    let longest = output.text().lines().filter_map(|line| {
        let numbers: Vec<u64> =
            line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        let &[_, _, _, _, _, _, first, last, ..] = numbers.as_slice() else { return None };
        Some(first * 4096..(last + 1) * 4096)
    });
    longest.max_by_key(|range| range.end - range.start).expect("debugfs prints extents of /room")
}

/// Panics unless `e2fsck` finds nothing to complain about.
#[track_caller]
pub fn assert_ext4_clean(image: &Path) {
    run(tool("e2fsck").arg("-fn").arg(image)).ok();
}
