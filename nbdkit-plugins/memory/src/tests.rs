// SPDX-License-Identifier: BSD-3-Clause
//! What is this plugin's own: values of `allocator=`, errors at start-up, which reads are holes.

use super::*;
use std::ffi::OsStr;

fn plugin(params: &[(&str, &str)]) -> Result<Memory> {
    let mut plugin = Memory::default();
    for (key, value) in params {
        assert_eq!(plugin.config(key, OsStr::new(value))?, Taken::Yes);
    }
    plugin.config_complete()?;
    plugin.get_ready()?;
    Ok(plugin)
}

fn refusal(params: &[(&str, &str)]) -> Error {
    plugin(params).map(drop).expect_err("should be refused")
}

#[test]
fn allocators_are_read_as_they_are_shown() {
    for (text, allocator) in [
        ("sparse", Allocator::Sparse),
        ("malloc", Allocator::Malloc { mlock: false }),
        ("malloc,mlock=true", Allocator::Malloc { mlock: true }),
    ] {
        assert_eq!(Allocator::parse(OsStr::new(text)), Ok(allocator));
        assert_eq!(allocator.show(), text);
    }
    assert_eq!(Allocator::parse(OsStr::new("malloc,mlock=no")), Ok(Allocator::Malloc { mlock: false }));
}

#[test]
fn what_is_wrong_on_the_command_line_is_named() {
    assert_eq!(refusal(&[]).to_string(), "you must specify size=<SIZE> on the command line");
    for (value, why) in [
        ("tape", "allocator: unknown allocator \"tape\", should be sparse or malloc[,mlock=BOOL]"),
        (
            "zstd",
            "allocator: allocator \"zstd\" is not part of this build, should be sparse or malloc[,mlock=BOOL]",
        ),
        (
            "malloc,fast=1",
            "allocator: unknown option \"fast=1\" of malloc, should be sparse or malloc[,mlock=BOOL]",
        ),
        ("sparse,x", "allocator: sparse has no option \"x\", should be sparse or malloc[,mlock=BOOL]"),
        ("malloc,mlock=maybe", "allocator: could not decipher boolean (maybe), should be true or false"),
    ] {
        assert_eq!(refusal(&[("allocator", value)]).to_string(), why);
    }
}

#[test]
fn more_memory_than_there_can_be_is_an_error_and_not_the_end() {
    for size in ["9223372036854775807", "7E", "1E"] {
        let error = refusal(&[("size", size), ("allocator", "malloc")]);
        assert_eq!(error.errno(), ENOMEM);
        assert!(error.to_string().starts_with("allocator=malloc: not enough memory for size="), "{error}");
    }
    assert!(plugin(&[("size", "7E")]).is_ok(), "sparse takes none before it is written");
}

#[test]
fn holes_are_read_as_holes() {
    let image = Image::default();
    let pool = Pool::new();
    let page = 32768;
    image.write(&[1; 10], 5 * page).unwrap();
    image.write(&[2; 10], 9 * page).unwrap();
    let runs = |offset, len| -> Vec<(bool, u64)> {
        let data = image.read(Span::new(offset, len), &pool);
        data.runs().iter().map(|run| (matches!(run, Run::Zero(_)), run.len())).collect()
    };
    assert_eq!(runs(0, 4 * page), [(true, 4 * page)]);
    assert_eq!(runs(5 * page, 4096), [(false, 4096)]);
    assert_eq!(runs(5 * page + 100, 4 * page), [(false, page - 100), (true, 3 * page), (false, 100)]);
    // Less than a page of hole on either side is copied.
    assert_eq!(runs(5 * page - 100, page + 200), [(false, page + 200)]);
    assert_eq!(runs(4 * page, 6 * page), [(true, page), (false, page), (true, 3 * page), (false, page)]);
}

#[test]
fn trimmed_pages_are_given_back() {
    let Image::Sparse(array) = Image::default() else { panic!("sparse is the default") };
    let image = Image::Sparse(array);
    image.write(&[1; 100_000], 0).unwrap();
    image.zero(Span::new(0, 100_000));
    let Image::Sparse(array) = image else { panic!("it was sparse") };
    assert_eq!(array.allocated(), 32768, "all but the page that is not trimmed to its end");
}
