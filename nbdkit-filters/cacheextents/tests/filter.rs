// SPDX-License-Identifier: BSD-3-Clause
//! Extents are asked for once, until the disk changes, and are always right.
#![allow(clippy::unwrap_used)]

use futures_lite::future::{poll_once, yield_now};
use nbdkit_cacheextents_filter::Cacheextents;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};
use std::{
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
};

const SIZE: u64 = 1 << 20;
/// Blocks of this size are data or holes.
const BLOCK: u64 = 4096;

fn is_data(offset: u64) -> bool {
    (offset / BLOCK).is_multiple_of(3)
}

/// The disk behind: a block is data once it was written.
struct Behind {
    bytes: Mutex<Vec<u8>>,
    asked: AtomicU32,
    asked_for_one: AtomicBool,
    has_extents: bool,
}

impl Behind {
    fn new(has_extents: bool) -> Arc<Behind> {
        let bytes = (0..SIZE).map(|at| u8::from(is_data(at))).collect();
        Arc::new(Behind {
            bytes: Mutex::new(bytes),
            asked: AtomicU32::default(),
            asked_for_one: AtomicBool::default(),
            has_extents,
        })
    }

    fn asked(&self) -> u32 {
        self.asked.swap(0, SeqCst)
    }
}

struct Opener(Arc<Behind>);

impl Plugin for Opener {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let mut info = Info::writable(SIZE).with(|info| {
            (info.trim, info.extents) = (true, self.0.has_extents);
            info.zero = Support::Native;
        });
        if req.read_only {
            info.without_writing();
        }
        req.ready(BehindDisk { info, behind: self.0.clone() })
    }
}

struct BehindDisk {
    info: Info,
    behind: Arc<Behind>,
}

impl BehindDisk {
    fn fill(&self, span: Span) -> Op<'_, ()> {
        Op::wait(async move {
            yield_now().await;
            self.behind.bytes.lock().unwrap()[span.offset as usize..span.end() as usize].fill(0);
            yield_now().await;
            Ok(())
        })
    }
}

impl Disk for BehindDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let bytes = self.behind.bytes.lock().unwrap()[offset as usize..][..len as usize].to_vec();
        Op::ok(Buf::from(bytes).into())
    }

    fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        Op::wait(async move {
            yield_now().await;
            self.behind.bytes.lock().unwrap()[offset as usize..][..data.len()].copy_from_slice(&data);
            yield_now().await;
            Ok(())
        })
    }

    fn trim(&self, span: Span, _: Flags) -> Op<'_, ()> {
        self.fill(span)
    }

    fn zero(&self, span: Span, _: Flags) -> Op<'_, ()> {
        self.fill(span)
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.behind.asked.fetch_add(1, SeqCst);
        self.behind.asked_for_one.fetch_or(flags.req_one, SeqCst);
        let start = span.offset - span.offset % BLOCK;
        let extent = |block: &[u8]| match block.iter().all(|byte| *byte == 0) {
            true => Extent::hole(block.len() as u64),
            false => Extent::data(block.len() as u64),
        };
        let mut extents: Vec<_> = self.behind.bytes.lock().unwrap()[start as usize..]
            .chunks(BLOCK as usize)
            .take(64)
            .map(extent)
            .collect();
        extents[0].len -= span.offset - start;
        Op::wait(async move {
            yield_now().await;
            Ok(extents.into_iter().collect())
        })
    }
}

struct Chain {
    bench: Bench,
    next: Next,
    behind: Arc<Behind>,
}

impl Chain {
    fn new(has_extents: bool) -> Chain {
        Chain::with(has_extents, &[])
    }

    fn with(has_extents: bool, params: &[(&str, &str)]) -> Chain {
        let (bench, behind) = (Bench::default(), Behind::new(has_extents));
        let plugin = Next::plugin("behind", Arc::new(Opener(behind.clone())));
        Chain { next: bench.filter::<Cacheextents>("cacheextents", params, plugin).unwrap(), bench, behind }
    }
}

async fn extents(disk: &dyn Disk, offset: u64, len: u64, req_one: bool) -> Vec<Extent> {
    let flags = Flags { req_one, ..Flags::default() };
    disk.extents(Span::new(offset, len), flags).await.unwrap().into_iter().collect()
}

#[test]
fn behaves_like_a_disk() {
    for has_extents in [true, false] {
        let Chain { bench, next, .. } = Chain::new(has_extents);
        let driver = bench.clone();
        let kit = Kit::disks(move |read_only, connection| {
            let mut req = bench.request(connection, "");
            req.read_only = read_only;
            bench.run(async { next.open(req).await })
        });
        let kit = if has_extents { kit.granule(BLOCK) } else { kit };
        kit.driver(move |task| driver.run(task))
            .size(SIZE)
            .content(Content::Rule(|at| u8::from(is_data(at))))
            .run();
    }
}

/// What `qemu-img map` does.
#[test]
fn a_walk_over_the_disk_one_extent_at_a_time_asks_seldom() {
    let chain = Chain::new(true);
    chain.bench.run(async {
        let disk = chain.next.open(chain.bench.request(1, "")).await.unwrap();
        for (pass, most) in [(1, 4), (2, 4)] {
            let mut at = 0;
            while at < SIZE {
                let found = extents(&*disk, at, SIZE - at, true).await;
                assert_eq!(found.len(), 1);
                let expected = if is_data(at) { Extent::data(0) } else { Extent::hole(0) };
                assert_eq!(Extent { len: 0, ..found[0] }, expected, "pass {pass} at {at}");
                at += found[0].len;
            }
            // The disk behind tells of 64 of 256 blocks at once.
            assert_eq!(chain.behind.asked(), most, "pass {pass}");
        }
        assert!(!chain.behind.asked_for_one.load(SeqCst));
    });
}

#[test]
fn a_change_makes_it_ask_again() {
    let chain = Chain::new(true);
    let flags = Flags::default();
    chain.bench.run(async {
        let disk = chain.next.open(chain.bench.request(1, "")).await.unwrap();
        assert_eq!(extents(&*disk, BLOCK, BLOCK, false).await, [Extent::hole(2 * BLOCK)]);
        disk.pwrite(Buf::from(vec![7]), BLOCK, flags).await.unwrap();
        assert_eq!(extents(&*disk, BLOCK, BLOCK, true).await[0], Extent::data(BLOCK));
        disk.zero(Span::new(0, BLOCK), flags).await.unwrap();
        assert_eq!(extents(&*disk, 0, BLOCK, true).await[0], Extent::hole(BLOCK));
        disk.trim(Span::new(BLOCK, BLOCK), flags).await.unwrap();
        assert_eq!(extents(&*disk, BLOCK, BLOCK, true).await[0], Extent::hole(2 * BLOCK));
        assert_eq!(chain.behind.asked(), 4);
        disk.pread(5, 5).await.unwrap();
        extents(&*disk, BLOCK, 1, true).await;
        assert_eq!(chain.behind.asked(), 0, "a read changes nothing");
    });
}

#[test]
fn what_it_does_is_told_on_demand() {
    for (params, told) in [
        (&[][..], &[][..]),
        (
            &[("-D cache", "1")],
            &[
                "cacheextents[1]: asked the disk behind: 4096 bytes at offset 4096",
                "cacheextents[1]: answered from memory: 1 bytes at offset 8191",
                "cacheextents[1]: forgotten: the disk has changed",
                "cacheextents[1]: asked the disk behind: 1 bytes at offset 8191",
            ],
        ),
    ] {
        let chain = Chain::with(true, params);
        chain.bench.run(async {
            let disk = chain.next.open(chain.bench.request(1, "")).await.unwrap();
            extents(&*disk, BLOCK, BLOCK, false).await;
            extents(&*disk, 2 * BLOCK - 1, 1, true).await;
            disk.pwrite(Buf::from(vec![7]), BLOCK, Flags::default()).await.unwrap();
            disk.pwrite(Buf::from(vec![7]), BLOCK, Flags::default()).await.unwrap();
            extents(&*disk, 2 * BLOCK - 1, 1, true).await;
        });
        assert_eq!(chain.bench.lines(), told);
    }
}

/// An answer that was on its way while the disk changed is not kept, whichever of the two is done first.
#[test]
fn an_answer_from_before_a_change_is_not_kept() {
    let chain = Chain::new(true);
    chain.bench.run(async {
        let disk = chain.next.open(chain.bench.request(1, "")).await.unwrap();
        for answered_first in [false, true] {
            disk.zero(Span::new(BLOCK, BLOCK), Flags::default()).await.unwrap();
            let mut write = pin!(disk.pwrite(Buf::from(vec![7]), BLOCK, Flags::default()).into_future());
            assert!(poll_once(&mut write).await.is_none());
            let mut asked = pin!(extents(&*disk, BLOCK, BLOCK, true));
            assert!(poll_once(&mut asked).await.is_none());
            let old = match answered_first {
                true => {
                    let old = asked.await;
                    write.await.unwrap();
                    old
                }
                false => {
                    write.await.unwrap();
                    asked.await
                }
            };
            assert_eq!(old[0], Extent::hole(2 * BLOCK), "not written yet");
            assert_eq!(extents(&*disk, BLOCK, BLOCK, true).await[0], Extent::data(BLOCK));
        }
    });
}
