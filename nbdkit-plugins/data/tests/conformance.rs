// SPDX-License-Identifier: BSD-3-Clause
//! The disk that is described keeps what every disk promises, and holds what was said, with every allocator.

use nbdkit_data_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};

/// Three pages and a bit; the second is a hole.
const TEXT: &str = "0 1 2 3 @64k $x*2 @100000 0xff*1000";

fn kit() -> Kit {
    let mut bytes = vec![0; 101_000];
    bytes[..4].copy_from_slice(&[0, 1, 2, 3]);
    bytes[65536..65542].copy_from_slice(b"abcabc");
    bytes[100_000..].fill(0xff);
    Kit::new(PLUGIN).any_key().magic(TEXT).param("x", "\"abc\"").content(Content::Bytes(bytes))
}

#[test]
fn sparse() {
    kit().granule(32768).run();
}

#[test]
fn malloc() {
    kit().param("allocator", "malloc").run();
}

#[cfg(feature = "zstd")]
#[test]
fn zstd() {
    kit().param("allocator", "zstd").granule(32768).operations(300).run();
}

#[test]
fn its_size_may_be_another() {
    let data = |size: &str| Kit::new(PLUGIN).any_key().magic("1 2 3 4").param("size", size).operations(200);
    data("2").content(Content::Bytes(vec![1, 2])).run();
    data("6").content(Content::Bytes(vec![1, 2, 3, 4, 0, 0])).run();
    // What is cut off is never stored.
    let endless =
        Kit::new(PLUGIN).any_key().magic("1*1000000000*1000000000").param("size", "3").operations(200);
    endless.content(Content::Bytes(vec![1; 3])).run();
    data("0").content(Content::Bytes(vec![])).run();
    data("9223372036854775807").size(i64::MAX as u64).granule(32768).run();
    Kit::new(PLUGIN)
        .any_key()
        .magic("@9223372036854775806 1")
        .size(i64::MAX as u64)
        .granule(32768)
        .operations(200)
        .run();
}

#[test]
fn not_described_but_given() {
    let bytes = Content::Bytes(b"12 3".to_vec());
    Kit::new(PLUGIN).any_key().param("raw", "12 3").content(bytes.clone()).run();
    Kit::new(PLUGIN).any_key().param("base64", "MTIgMw==").content(bytes).run();
}
