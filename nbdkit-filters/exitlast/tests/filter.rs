// SPDX-License-Identifier: BSD-3-Clause
//! The server stops when the last disk is gone, neither sooner nor later.
#![allow(clippy::unwrap_used)]

use nbdkit_exitlast_filter::Exitlast;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};

const SIZE: u64 = 100_001;

/// The filter in front of a disk in memory.
fn chain(bench: &Bench) -> Next {
    let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
    memory.config("size", SIZE.to_string().as_ref()).unwrap();
    memory.get_ready().unwrap();
    bench.filter::<Exitlast>("exitlast", &[], Next::plugin("memory", memory.into())).unwrap()
}

/// Opens the disk; the connection that has done so lasts as long as what is returned.
fn client(bench: &Bench, next: &Next) -> (Connection, Arc<dyn Disk>) {
    let req = bench.request(1, "");
    let connection = req.connection.clone();
    (connection, bench.run(async { next.open(req).await }).unwrap())
}

#[test]
fn stops_after_the_last() {
    let bench = Bench::default();
    let next = chain(&bench);
    let leave = |(connection, disk): (Connection, Arc<dyn Disk>)| {
        bench.run(async { disk.close().await }).unwrap();
        connection.end();
    };
    let stopping = || bench.server().stopping();
    assert!(!stopping(), "nobody was there yet");
    let first = client(&bench, &next);
    let second = client(&bench, &next);
    leave(first);
    assert!(!stopping());
    let third = client(&bench, &next);
    leave(third);
    assert!(!stopping());
    leave(second);
    assert!(stopping());
    assert_eq!(bench.lines(), ["exitlast[1]: the last client has gone: exiting"]);
}

#[test]
fn who_opens_again_has_not_left() {
    let bench = Bench::default();
    let next = chain(&bench);
    let (connection, disk) = client(&bench, &next);
    // A filter in front may do this when an operation has failed.
    bench.run(async { disk.close().await }).unwrap();
    drop(disk);
    assert!(!bench.server().stopping());
    let mut req = bench.request(2, "");
    req.connection = connection.clone();
    let disk = bench.run(async { next.open(req).await }).unwrap();
    drop(disk);
    assert!(!bench.server().stopping());
    connection.end();
    assert!(bench.server().stopping());
}

#[test]
fn a_client_that_is_dropped_has_gone_too() {
    let bench = Bench::default();
    let next = chain(&bench);
    let kept = client(&bench, &next);
    drop(client(&bench, &next));
    assert!(!bench.server().stopping());
    drop(kept);
    assert!(bench.server().stopping());
}

#[derive(Default)]
struct Broken;

impl Plugin for Broken {
    fn open(self: Arc<Self>, _: OpenRequest) -> Opened {
        Op::err(Error::new(EIO, "out of order"))
    }
}

#[test]
fn who_opens_nothing_does_not_count() {
    let bench = Bench::default();
    let broken = bench.plugin::<Broken>("broken", &[]).unwrap();
    let next = bench.filter::<Exitlast>("exitlast", &[], broken).unwrap();
    assert!(bench.open(&next).is_err());
    assert!(!bench.server().stopping());
}

#[test]
fn keeps_the_promises_of_a_disk() {
    let bench = Bench::default();
    let next = chain(&bench);
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
