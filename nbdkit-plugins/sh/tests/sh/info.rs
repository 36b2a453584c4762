// SPDX-License-Identifier: BSD-3-Clause
//! What scripts say of their disks.

use crate::bench::{Bench, Script};
use nbdkit_plugin::*;

fn opened(body: &str, read_only: bool) -> Result<Info> {
    let bench = Bench::of(body);
    let mut req = bench.request("");
    req.read_only = read_only;
    bench.open_as(req).map(|client| client.disk.info().clone())
}

fn info(body: &str) -> Info {
    opened(&format!("get_size) echo 1M ;; {body}"), false).unwrap()
}

fn refused(body: &str) -> String {
    opened(&format!("{body}\nget_size) echo 1M ;;"), false).err().unwrap().to_string()
}

#[test]
fn what_is_true_of_a_script_that_says_nothing() {
    let silent = info("");
    assert_eq!(format!("{silent:?}"), format!("{:?}", Info::read_only(1 << 20)));
    let writable = info("can_write) ;;");
    let want = Info::writable(1 << 20).with(|info| info.fast_zero = true);
    assert_eq!(format!("{writable:?}"), format!("{want:?}"));
}

#[test]
fn every_question() {
    let all = info(
        "can_fua|can_cache) echo native ;; block_size) echo 1 4K 32M ;; can_*|is_*) ;;
        export_description) echo 'what it is' ;;",
    );
    let mut want = Info::writable(1 << 20);
    (want.flush, want.trim, want.fast_zero, want.rotational, want.multi_conn, want.extents) =
        (true, true, true, true, true, true);
    (want.zero, want.fua, want.cache) = (Support::Native, Support::Native, Support::Native);
    want.block = Some(BlockSize { minimum: 1, preferred: 4096, maximum: 32 << 20 });
    want.description = Some("what it is".into());
    assert_eq!(format!("{all:?}"), format!("{want:?}"));

    assert!(!info("can_write|can_zero) ;;").fast_zero, "missing: not faster than zero");
    assert!(info("can_write|can_zero|can_fast_zero) ;;").fast_zero);
    assert!(!info("can_write) ;; can_fast_zero) exit 3 ;;").fast_zero);
    for (body, fua) in [
        ("can_write|can_flush) ;;", Support::Emulate),
        ("can_write|can_flush) ;; can_fua) echo None ;;", Support::None),
        ("can_write|can_flush) ;; can_fua) echo emulate ;;", Support::Emulate),
        ("can_write) ;; can_fua) echo emulate ;;", Support::None),
        ("can_write) ;; can_fua) echo native ;;", Support::Native),
    ] {
        assert_eq!(info(body).fua, fua, "{body}");
    }
    assert_eq!(info("can_cache) echo emulate ;;").cache, Support::Emulate);
}

#[test]
fn read_only_is_not_asked_about_writing() {
    let script = Script::new("get_size) echo 1M ;; can_fua|can_cache) echo native ;; can_*) ;;");
    let bench = Bench::new(&script).unwrap();
    let mut req = bench.request("");
    req.read_only = true;
    let info = bench.open_as(req).unwrap().disk.info().clone();
    let mut want = Info::read_only(1 << 20);
    (want.flush, want.multi_conn, want.extents, want.cache) = (true, true, true, Support::Native);
    assert_eq!(format!("{info:?}"), format!("{want:?}"));
    assert!(!script.calls().iter().any(|call| call.contains("can_write") || call.contains("can_zero")));
}

#[test]
fn what_makes_no_sense_is_named() {
    for (body, why) in [
        ("get_size) exit 2 ;;", "the get_size method is required"),
        ("get_size) exit 3 ;;", "get_size method returned unexpected code (3/false)"),
        ("get_size) echo many ;;", "get_size: could not parse size string: many"),
        ("get_size) ;;", "get_size: could not parse size string"),
        (
            "can_cache) echo often ;;",
            "could not parse output from can_cache method: \"often\", should be none, emulate or native",
        ),
        ("can_write) ;; can_fua) ;;", "could not parse output from can_fua method: \"\""),
        (
            "block_size) echo 1 2 ;;",
            "could not parse output from block_size method: \"1 2\", should be three sizes",
        ),
        ("block_size) echo 3 512 1024 ;;", "block_size: minimum block size 3 must be a power of 2"),
        ("export_description) head -c 4097 /dev/zero ;;", "export_description should be at most 4096 bytes"),
        ("export_description) printf '\\377' ;;", "export_description should be at most 4096 bytes of UTF-8"),
        ("open) printf 'a\\0b' ;;", "nul byte"),
    ] {
        let error = refused(body);
        assert!(error.contains(why), "{body}: {error}");
    }
}
