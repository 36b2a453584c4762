// SPDX-License-Identifier: BSD-3-Clause
//! A disk behind the filter is the disk.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_nofilter_filter::Nofilter;
use nbdkit_plugin::conformance::{Content, Kit};

const SIZE: u64 = 1_000_001;

/// Two of them in front of a disk in memory.
fn chain(bench: &Bench) -> (Next, Next) {
    let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
    memory.config("size", SIZE.to_string().as_ref()).unwrap();
    memory.get_ready().unwrap();
    let memory = Next::plugin("memory", memory.into());
    let inner = bench.filter::<Nofilter>("nofilter", &[], memory.clone()).unwrap();
    (bench.filter::<Nofilter>("nofilter", &[], inner).unwrap(), memory)
}

#[test]
fn is_the_disk_behind() {
    let bench = Bench::default();
    let (next, memory) = chain(&bench);
    let [with, without] = [next, memory].map(|next| (next.thread_model(), bench.open(&next).unwrap()));
    assert_eq!(with.0, without.0);
    assert_eq!(format!("{:?}", with.1.info()), format!("{:?}", without.1.info()));
    assert!(matches!(with.1.pread(512, 0), Op::Ready(Ok(_))), "what is ready stays ready");
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
    .granule(32768)
    .run();
}
