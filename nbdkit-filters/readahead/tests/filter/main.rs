// SPDX-License-Identifier: BSD-3-Clause
//! Sequential readers have their next bytes prefetched, others do not, and nothing is left behind.
#![allow(clippy::unwrap_used)]

mod disk;

use disk::{Behind, SIZE, byte};
use futures_lite::future::{poll_once, yield_now};
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};
use nbdkit_readahead_filter::Readahead;
use std::{pin::pin, sync::atomic::Ordering::SeqCst};

struct Chain {
    bench: Bench,
    next: Next,
    behind: Arc<Behind>,
}

impl Chain {
    fn new() -> Chain {
        Chain::over(Support::Native, ThreadModel::Parallel)
    }

    fn over(support: Support, model: ThreadModel) -> Chain {
        let (bench, behind) = (Bench::default(), Behind::new(support, model));
        let plugin = Next::plugin("behind", Arc::new(disk::Opener(behind.clone())));
        Chain { next: bench.filter::<Readahead>("readahead", &[], plugin).unwrap(), bench, behind }
    }

    fn open(&self) -> Arc<dyn Disk> {
        self.bench.open(&self.next).unwrap()
    }
}

async fn read(disk: &dyn Disk, offset: u64, len: u32) {
    let data = disk.pread(len, offset).await.unwrap().into_buf(&Pool::new()).await.unwrap();
    assert!(data.iter().zip(offset..).all(|(found, at)| *found == byte(at)));
}

#[test]
fn behaves_like_a_disk() {
    for (support, model) in [
        (Support::Native, ThreadModel::Parallel),
        (Support::Emulate, ThreadModel::Parallel),
        (Support::Native, ThreadModel::SerializeRequests),
    ] {
        let Chain { bench, next, .. } = Chain::over(support, model);
        let driver = bench.clone();
        Kit::disks(move |read_only, connection| {
            let mut req = bench.request(connection, "");
            req.read_only = read_only;
            bench.run(async { next.open(req).await })
        })
        .driver(move |task| driver.run(task))
        .thread_model(model)
        .size(SIZE)
        .content(Content::Rule(byte))
        .run();
    }
}

#[test]
fn prefetches_for_sequential_readers_only() {
    let chain = Chain::new();
    let disk = chain.open();
    chain.bench.run(async {
        for n in (0..SIZE / 8192).rev() {
            read(&*disk, n * 8192, 4096).await;
        }
    });
    assert_eq!(chain.behind.prefetched(), []);
    chain.bench.run(async {
        for n in 0..SIZE / 65536 {
            read(&*disk, n * 65536, 65536).await;
        }
    });
    let spans = chain.behind.prefetched();
    assert_eq!(spans[0], Span::new(131_072, 131_072));
    assert!(spans.windows(2).all(|pair| pair[0].end() == pair[1].offset), "{spans:?}");
    assert_eq!(spans.last().unwrap().end(), SIZE);
    assert!(spans.len() < 12, "{spans:?}");
}

#[test]
fn does_not_wait_for_a_prefetch_and_has_no_more_than_four() {
    let chain = Chain::new();
    let disk = chain.open();
    chain.bench.run(async {
        let source = chain.behind.source.lock().await;
        for n in 0..SIZE / 4096 {
            read(&*disk, n * 4096, 4096).await;
        }
        assert_eq!(chain.behind.prefetched().len(), 4);
        // The client goes meanwhile: the disk behind is closed when they are done, and not before.
        let mut close = pin!(disk.close().into_future());
        for _ in 0..100 {
            assert!(poll_once(&mut close).await.is_none());
            yield_now().await;
        }
        assert!(!chain.behind.is_closed());
        drop(source);
        close.await.unwrap();
        assert!(chain.behind.is_closed());
    });
}

#[test]
fn a_prefetch_has_begun_before_the_read_that_caused_it_is_answered() {
    let chain = Chain::new();
    let disk = chain.open();
    let ready = |op| assert!(matches!(op, Op::Ready(Ok(_))));
    ready(disk.pread(4096, 0));
    ready(disk.pread(4096, 4096));
    assert_eq!(chain.behind.prefetched(), [Span::new(8192, 32768)]);
}

#[test]
fn what_fails_is_not_the_clients_business() {
    let chain = Chain::new();
    let disk = chain.open();
    chain.behind.failing.store(true, SeqCst);
    chain.bench.run(async {
        for n in 0..100 {
            read(&*disk, n * 4096, 4096).await;
        }
        disk.close().await.unwrap();
    });
    assert!(!chain.behind.prefetched().is_empty());
}

#[test]
fn warns_once_when_it_can_do_nothing() {
    for (support, model) in [
        (Support::None, ThreadModel::Parallel),
        (Support::Emulate, ThreadModel::Parallel),
        (Support::Native, ThreadModel::SerializeRequests),
    ] {
        let chain = Chain::over(support, model);
        for _ in 0..2 {
            let disk = chain.open();
            chain.bench.run(async {
                for n in 0..10 {
                    read(&*disk, n * 4096, 4096).await;
                }
            });
        }
        assert_eq!(chain.behind.prefetched(), []);
        let warnings = chain.bench.lines();
        let text = "readahead[1]: error: warning: underlying plugin does not support NBD_CMD_CACHE or PARALLEL thread \
                    model, so the filter won't do anything";
        assert_eq!(warnings, [text]);
    }
}
