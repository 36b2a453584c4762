// SPDX-License-Identifier: BSD-3-Clause
//! A disk behind the filter keeps what every disk promises, and holds what it should.

use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};
use nbdkit_readahead_filter::Readahead;

const SIZE: u64 = 100_000;

/// What the disk behind the filter holds.
fn byte(offset: u64) -> u8 {
    (offset % 251) as u8
}

#[derive(Default)]
struct Behind;

impl Plugin for Behind {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.inline(BehindDisk)
    }
}

struct BehindDisk;

impl SyncDisk for BehindDisk {
    fn info(&self) -> Result<Info> {
        Ok(Info::read_only(SIZE))
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        buf.iter_mut().zip(offset..).for_each(|(b, offset)| *b = byte(offset));
        Ok(())
    }
}

#[test]
fn keeps_the_promises_of_a_disk() {
    let bench = Bench::default();
    let behind = bench.plugin::<Behind>("behind", &[]).unwrap();
    let next = bench.filter::<Readahead>("readahead", &[], behind).unwrap();
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .content(Content::Rule(byte))
    .run();
}
