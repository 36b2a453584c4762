// SPDX-License-Identifier: BSD-3-Clause
//! The full disk keeps what every disk promises, reads as zeroes, and refuses every change with `ENOSPC`.

use nbdkit_full_plugin::PLUGIN;
use nbdkit_plugin::{
    ENOSPC,
    conformance::{Content, Kit, Writes},
};

fn kit(size: u64) -> Kit {
    Kit::new(PLUGIN)
        .magic(&size.to_string())
        .size(size)
        .content(Content::Zeroes)
        .writes(Writes::Fail(ENOSPC))
        .granule(1)
}

#[test]
fn every_size() {
    for size in [0, 1, 511, 1_000_001, i64::MAX as u64] {
        kit(size).run();
    }
}

#[test]
fn the_size_must_be_given() {
    let error = (PLUGIN.create)().config_complete().expect_err("no size was given");
    assert_eq!(error.to_string(), "size parameter is required");
}
