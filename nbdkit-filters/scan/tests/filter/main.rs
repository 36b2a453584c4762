// SPDX-License-Identifier: BSD-3-Clause
//! All of the disk is prefetched, once, and only while a client is there.
#![allow(clippy::unwrap_used)]

mod disk;

use disk::{Behind, SIZE, byte};
use futures_lite::future::{poll_once, yield_now};
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};
use nbdkit_scan_filter::Scan;
use std::{pin::pin, sync::atomic::Ordering::SeqCst};

const STEP: u64 = 1 << 20;

struct Chain {
    bench: Bench,
    next: Next,
    behind: Arc<Behind>,
}

impl Chain {
    fn new(params: &[(&str, &str)]) -> Chain {
        Chain::over(Support::Native, ThreadModel::Parallel, params)
    }

    fn over(support: Support, model: ThreadModel, params: &[(&str, &str)]) -> Chain {
        let (bench, behind) = (Bench::default(), Behind::new(support, model));
        let plugin = Next::plugin("behind", Arc::new(disk::Opener(behind.clone())));
        let params: Vec<_> = [("scan-size", "1M")].iter().chain(params).copied().collect();
        Chain { next: bench.filter::<Scan>("scan", &params, plugin).unwrap(), bench, behind }
    }

    /// Opens while the source answers nothing: the first prefetch hangs.
    async fn open(&self) -> Arc<dyn Disk> {
        self.next.open(self.bench.request(1, "")).await.unwrap()
    }

    /// Returns when `count` prefetches have begun, and no more are to come.
    async fn settle(&self, count: usize) {
        while self.behind.prefetched().len() < count {
            yield_now().await;
        }
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(self.behind.prefetched().len(), count);
    }
}

/// All of the disk from `start` on, in steps.
fn steps(start: u64) -> Vec<Span> {
    (0..)
        .map(|n| start + n * STEP)
        .take_while(|at| *at < SIZE)
        .map(|at| Span::new(at, STEP.min(SIZE - at)))
        .collect()
}

#[test]
fn behaves_like_a_disk() {
    for (support, model) in [
        (Support::Native, ThreadModel::Parallel),
        (Support::None, ThreadModel::Parallel),
        (Support::Native, ThreadModel::SerializeAllRequests),
    ] {
        let Chain { bench, next, .. } = Chain::over(support, model, &[]);
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
fn covers_the_disk_once_however_many_clients() {
    let chain = Chain::new(&[]);
    chain.bench.run(async {
        let source = chain.behind.source.lock().await;
        let disks = [chain.open().await, chain.open().await, chain.open().await];
        chain.settle(3).await;
        drop(source);
        chain.settle(6).await;
        assert_eq!(chain.behind.prefetched(), steps(0));
        for disk in disks {
            disk.close().await.unwrap();
        }
        // It was all prefetched.
        chain.open().await.close().await.unwrap();
        chain.settle(6).await;
    });
}

#[test]
fn stops_with_the_client_and_goes_on_with_the_next() {
    for (clock, start) in [("true", STEP), ("false", 0)] {
        let chain = Chain::new(&[("scan-clock", clock)]);
        chain.bench.run(async {
            let source = chain.behind.source.lock().await;
            let disk = chain.open().await;
            chain.settle(1).await;
            {
                // Closing waits for what has begun, and for no more.
                let mut close = pin!(disk.close().into_future());
                for _ in 0..100 {
                    assert!(poll_once(&mut close).await.is_none());
                    yield_now().await;
                }
                assert!(!chain.behind.is_closed());
                drop(source);
                close.await.unwrap();
            }
            assert!(chain.behind.is_closed());
            chain.settle(1).await;
            let disk = chain.open().await;
            chain.settle(1 + steps(start).len()).await;
            assert_eq!(chain.behind.prefetched()[1..], steps(start));
            disk.close().await.unwrap();
        });
    }
}

#[test]
fn a_disk_that_is_dropped_is_not_scanned_any_more() {
    let chain = Chain::new(&[]);
    chain.bench.run(async {
        let source = chain.behind.source.lock().await;
        let disk = chain.open().await;
        chain.settle(1).await;
        drop(disk);
        drop(source);
        chain.bench.server().drained().await;
        assert_eq!(chain.behind.prefetched().len(), 1);
        assert!(chain.behind.is_closed());
    });
}

#[test]
fn stays_ahead_of_what_is_read() {
    for (ahead, expected) in [("true", 4 * STEP), ("false", STEP)] {
        let chain = Chain::new(&[("scan-ahead", ahead)]);
        chain.bench.run(async {
            let source = chain.behind.source.lock().await;
            let disk = chain.open().await;
            chain.settle(1).await;
            disk.pread(100, 4 * STEP + 5).await.unwrap();
            drop(source);
            chain.settle(1 + steps(expected).len()).await;
            assert_eq!(chain.behind.prefetched()[1..], steps(expected));
            disk.close().await.unwrap();
        });
    }
}

#[test]
fn forever_begins_anew_until_the_client_goes() {
    let chain = Chain::new(&[("scan-forever", "true")]);
    chain.bench.run(async {
        let disk = chain.open().await;
        while chain.behind.prefetched().len() <= 6 {
            yield_now().await;
        }
        assert_eq!(chain.behind.prefetched()[6], steps(0)[0]);
        disk.close().await.unwrap();
    });
}

#[test]
fn an_error_ends_the_scan_and_nothing_else() {
    let chain = Chain::new(&[]);
    chain.behind.failing.store(true, SeqCst);
    chain.bench.run(async {
        let disk = chain.open().await;
        chain.settle(1).await;
        disk.pread(100, 5).await.unwrap();
        disk.close().await.unwrap();
    });
}

#[test]
fn other_exports_are_not_scanned() {
    let chain = Chain::new(&[]);
    chain.bench.run(async {
        let disk = chain.next.open(chain.bench.request(1, "other")).await.unwrap();
        chain.settle(0).await;
        disk.close().await.unwrap();
    });
}

#[test]
fn warns_once_when_it_can_do_nothing() {
    for (support, model, missing) in [
        (Support::None, ThreadModel::Parallel, "NBD_CMD_CACHE"),
        (Support::Emulate, ThreadModel::Parallel, "NBD_CMD_CACHE"),
        (Support::Native, ThreadModel::SerializeRequests, "the PARALLEL thread model"),
    ] {
        let chain = Chain::over(support, model, &[]);
        chain.bench.run(async {
            drop([chain.open().await, chain.open().await]);
            chain.settle(0).await;
        });
        let expected =
            format!("scan[1]: error: warning: underlying plugin does not support {missing}, not scanning");
        assert_eq!(chain.bench.lines(), [expected]);
    }
}

#[test]
fn bad_parameters() {
    for size in ["0", "3", "256", "64M"] {
        let bench = Bench::default();
        let behind = Behind::new(Support::Native, ThreadModel::Parallel);
        let plugin = Next::plugin("behind", Arc::new(disk::Opener(behind)));
        let Err(error) = bench.filter::<Scan>("scan", &[("scan-size", size)], plugin) else {
            panic!("{size}")
        };
        let text = error.to_string();
        assert!(text.contains("parameter should be [512..32M] and a power of two"), "{text}");
    }
}
