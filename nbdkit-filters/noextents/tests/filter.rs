// SPDX-License-Identifier: BSD-3-Clause
//! Holes are hidden, and nothing else.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_noextents_filter::Noextents;
use nbdkit_plugin::conformance::{Content, Kit};

const SIZE: u64 = 1 << 20;

/// The filter in front of a disk in memory, which is one hole.
fn chain(bench: &Bench) -> (Next, Next) {
    let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
    memory.config("size", SIZE.to_string().as_ref()).unwrap();
    memory.get_ready().unwrap();
    let memory = Next::plugin("memory", memory.into());
    (bench.filter::<Noextents>("noextents", &[], memory.clone()).unwrap(), memory)
}

#[test]
fn all_is_data() {
    let bench = Bench::default();
    let (next, memory) = chain(&bench);
    let extents = |next: &Next| {
        let disk = bench.open(next).unwrap();
        let extents = bench.run(async { disk.extents(Span::new(4096, 8192), Flags::default()).await });
        (disk.info().extents, extents.unwrap())
    };
    let (declared, behind) = extents(&memory);
    assert!(declared && behind.iter().all(|extent| extent.hole), "the disk behind has holes");
    assert_eq!(extents(&next), (false, Extents::data(8192)));
}

#[test]
fn keeps_the_promises_of_a_disk() {
    let bench = Bench::default();
    let (next, _) = chain(&bench);
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .content(Content::Zeroes)
    .run();
}
