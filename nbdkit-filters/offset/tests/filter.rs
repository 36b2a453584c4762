// SPDX-License-Identifier: BSD-3-Clause
//! The part that is served is the right one, behaves like a disk, and must lie within the disk.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_offset_filter::Offset;
use nbdkit_plugin::conformance::{Content, Kit};

const SIZE: u64 = 100_000;

/// What the disk holds at first.
fn byte(offset: u64) -> u8 {
    (offset % 251) as u8
}

/// A disk in memory.
fn memory(bench: &Bench) -> Next {
    let mut plugin = (nbdkit_memory_plugin::PLUGIN.create)();
    plugin.config("size", SIZE.to_string().as_ref()).unwrap();
    plugin.get_ready().unwrap();
    let next = Next::plugin("memory", plugin.into());
    let disk = bench.open(&next).unwrap();
    let bytes = Buf::from((0..SIZE).map(byte).collect::<Vec<_>>());
    bench.run(async { disk.pwrite(bytes, 0, Flags::default()).await }).unwrap();
    next
}

fn open(params: &[(&str, &str)]) -> Result<Arc<dyn Disk>> {
    let bench = Bench::default();
    bench.open(&bench.filter::<Offset>("offset", params, memory(&bench))?)
}

#[test]
fn a_part_is_a_disk() {
    let bench = Bench::default();
    let memory = memory(&bench);
    let part = [("offset", "1000"), ("range", "60k")];
    let next = bench.filter::<Offset>("offset", &part, memory.clone()).unwrap();
    let (driver, opener) = (bench.clone(), bench.clone());
    Kit::disks(move |read_only, connection| {
        let mut req = opener.request(connection, "");
        req.read_only = read_only;
        opener.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(60 << 10)
    .content(Content::Rule(|offset| byte(1000 + offset)))
    .run();

    let behind = bench.open(&memory).unwrap();
    for around in [Span::new(0, 1000), Span::new(1000 + (60 << 10), SIZE - 1000 - (60 << 10))] {
        let read = behind.pread(around.len as u32, around.offset);
        let data = bench.run(async { read.await?.into_buf(&Pool::new()).await }).unwrap();
        let untouched: Vec<u8> = (around.offset..around.end()).map(byte).collect();
        assert!(*data == untouched, "{around:?} is outside of the part");
    }
}

#[test]
fn sizes_at_the_edges() {
    let size = |params: &[_]| open(params).unwrap().info().size;
    assert_eq!(size(&[]), SIZE);
    assert_eq!(size(&[("offset", "1")]), SIZE - 1);
    assert_eq!(size(&[("range", "100000")]), SIZE);
    assert_eq!(size(&[("offset", "100000")]), 0);
    assert_eq!(size(&[("offset", "1k"), ("range", "0")]), 0);
}

#[test]
fn a_part_beyond_the_disk_is_refused() {
    let refusal = |params: &[_]| match open(params) {
        Ok(_) => panic!("{params:?} should be refused"),
        Err(error) => error.to_string(),
    };
    let real = "is larger than the real size (100000) of the underlying file or device";
    assert_eq!(refusal(&[("offset", "100001")]), format!("offset (100001) {real}"));
    assert_eq!(refusal(&[("offset", "4"), ("range", "99997")]), format!("offset+range (4+99997) {real}"));
    assert_eq!(refusal(&[("range", "100001")]), format!("offset+range (0+100001) {real}"));
    let most = i64::MAX.to_string();
    assert_eq!(refusal(&[("offset", "1"), ("range", &most)]), format!("offset+range (1+{most}) {real}"));
    assert_eq!(refusal(&[("offset", "-1")]), "offset: size cannot be negative: -1");
}
