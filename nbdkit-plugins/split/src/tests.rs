// SPDX-License-Identifier: BSD-3-Clause
//! What is this plugin's own: which pieces of files a span is, and which of them are holes.

use super::*;
use std::{
    fs,
    io::{Seek, SeekFrom, Write},
};
use tempfile::{TempDir, tempdir_in};

/// As large as a hole must be on any file system that is in use.
const UNIT: u64 = 65536;

fn on_disk() -> TempDir {
    // Beside this test's program: where temporary files are, there may be no holes.
    let program = std::env::current_exe().unwrap();
    tempdir_in(program.parent().unwrap()).unwrap()
}

/// Files in which every letter is a unit: `d` of data, `h` of hole.
fn files(dir: &TempDir, shapes: &[&str]) -> Vec<PathBuf> {
    let make = |(number, shape): (usize, &&str)| {
        let path = dir.path().join(number.to_string());
        let mut file = fs::File::create_new(&path).unwrap();
        file.set_len(shape.len() as u64 * UNIT).unwrap();
        for (at, _) in shape.match_indices('d') {
            file.seek(SeekFrom::Start(at as u64 * UNIT)).unwrap();
            file.write_all(&[1; UNIT as usize]).unwrap();
        }
        path
    };
    shapes.iter().enumerate().map(make).collect()
}

fn shown(extents: &Extents) -> String {
    let letters = |extent: &Extent| if extent.hole { "h" } else { "d" }.repeat((extent.len / UNIT) as usize);
    extents.iter().map(letters).collect()
}

#[test]
fn pieces_of_a_span() {
    let dir = on_disk();
    let files = Files::open(&files(&dir, &["dd", "", "h", "d"]), true).unwrap();
    assert_eq!(files.size(), 4 * UNIT);
    let pieces = |offset, len| -> Vec<(u64, u64)> {
        files.pieces(Span::new(offset, len)).map(|(_, piece)| (piece.offset, piece.len)).collect()
    };
    assert_eq!(pieces(5, 10), [(5, 10)]);
    assert_eq!(pieces(0, 4 * UNIT), [(0, 2 * UNIT), (0, UNIT), (0, UNIT)]);
    assert_eq!(pieces(2 * UNIT - 1, 2), [(2 * UNIT - 1, 1), (0, 1)]);
    assert_eq!(pieces(2 * UNIT, UNIT), [(0, UNIT)]);
    assert_eq!(pieces(4 * UNIT - 1, 1), [(UNIT - 1, 1)]);
}

#[test]
fn holes_go_on_from_file_to_file() {
    let dir = on_disk();
    let files = Files::open(&files(&dir, &["dhd", "hh", "hddh", "d", "dh"]), true).unwrap();
    let all = Span::new(0, files.size());
    let found = files.extents(all, false).unwrap();
    assert_eq!(shown(&found), "dhdhhhddhddh");
    assert_eq!(found.count(), 8);
    let from = |unit: u64| Span::new(unit * UNIT, all.len - unit * UNIT);
    assert_eq!(shown(&files.extents(from(4), false).unwrap()), "hhddhddh");
    assert_eq!(shown(&files.extents(from(3), true).unwrap()), "hhh");
    assert_eq!(shown(&files.extents(from(9), true).unwrap()), "dd");
}

#[test]
fn a_file_that_became_shorter_has_no_hole_there() {
    let dir = on_disk();
    let paths = files(&dir, &["hh", "dd"]);
    let files = Files::open(&paths, true).unwrap();
    for path in &paths {
        fs::File::options().write(true).open(path).unwrap().set_len(UNIT).unwrap();
    }
    assert_eq!(shown(&files.extents(Span::new(0, 4 * UNIT), false).unwrap()), "hddd");
    assert_eq!(shown(&files.extents(Span::new(UNIT, UNIT), false).unwrap()), "d");
}

#[test]
fn errors_name_the_file() {
    let dir = on_disk();
    let paths = files(&dir, &["d", "d"]);
    let files = Files::open(&paths, true).unwrap();
    let error = files.write(&[0; 20], UNIT - 10).unwrap_err();
    let name = paths[0].display();
    assert_eq!(
        error.to_string(),
        format!("{name}: write of 10 bytes at offset {}: Bad file descriptor", UNIT - 10)
    );
    fs::remove_file(&paths[1]).unwrap();
    let error = Files::open(&paths, false).map(drop).unwrap_err();
    assert_eq!(error.to_string(), format!("open: {}: No such file or directory", paths[1].display()));
}
