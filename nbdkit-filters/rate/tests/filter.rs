// SPDX-License-Identifier: BSD-3-Clause
//! What passes at once, what waits and for whom, and that nobody waits less than they should.
#![allow(clippy::unwrap_used)]

use futures_lite::future::poll_once;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};
use nbdkit_rate_filter::RateFilter;
use std::{
    fs,
    future::IntoFuture,
    path::Path,
    time::{Duration, Instant},
};

const SIZE: u64 = 1 << 20;
const NONE: Flags = Flags { fua: false, may_trim: false, fast_zero: false, req_one: false };

fn memory() -> Next {
    let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
    memory.config("size", SIZE.to_string().as_ref()).unwrap();
    memory.get_ready().unwrap();
    Next::plugin("memory", memory.into())
}

struct Chain {
    bench: Bench,
    next: Next,
}

impl Chain {
    fn new(params: &[(&str, &str)]) -> Chain {
        let bench = Bench::default();
        let next = bench.filter::<RateFilter>("rate", params, memory()).unwrap();
        Chain { bench, next }
    }

    fn open(&self) -> (Arc<dyn Disk>, Connection) {
        let req = self.bench.request(1, "");
        let connection = req.connection.clone();
        (self.bench.run(async { self.next.open(req).await }).unwrap(), connection)
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.open().0
    }
}

fn reads_at_once(disk: &dyn Disk, len: u32) -> bool {
    matches!(disk.pread(len, 0), Op::Ready(Ok(_)))
}

fn writes_at_once(disk: &dyn Disk, len: usize) -> bool {
    matches!(disk.pwrite(Buf::from(vec![1; len]), 0, NONE), Op::Ready(Ok(())))
}

#[test]
fn without_a_rate_nothing_waits() {
    let disk = Chain::new(&[("burstiness", "0")]).disk();
    assert!((0..1000).all(|_| reads_at_once(&*disk, 4096) && writes_at_once(&*disk, 4096)));
}

/// 8000 bits in 2 seconds are 2000 bytes. Slow enough that no test sees a token come back.
#[test]
fn reading_and_writing_are_apart_and_the_rest_is_free() {
    for key in ["rate", "connection-rate"] {
        let disk = Chain::new(&[(key, "8"), ("burstiness", "2000")]).disk();
        assert!(!reads_at_once(&*disk, 2001), "more than ever fits");
        assert!(reads_at_once(&*disk, 2000) && !reads_at_once(&*disk, 100));
        assert!(writes_at_once(&*disk, 1500) && !writes_at_once(&*disk, 600));
        assert!(writes_at_once(&*disk, 500));
        let whole = Span::new(0, SIZE);
        for free in [
            disk.zero(whole, NONE),
            disk.trim(whole, NONE),
            disk.flush(),
            disk.cache(whole),
            disk.extents(whole, NONE).map(|_| Ok(())),
            disk.finalize(),
        ] {
            assert!(matches!(free, Op::Ready(Ok(()))));
        }
    }
}

#[test]
fn what_the_buckets_hold_is_told_on_demand() {
    let all = ("rate", "8");
    for (params, told) in [
        (&[all, ("burstiness", "2000")][..], &[][..]),
        (
            &[all, ("burstiness", "2000"), ("connection-rate", "80"), ("-D bucket", "1")],
            &[
                "rate[1]: bucket connection read: 4000 tokens taken, 156000 left",
                "rate[1]: bucket all read: 4000 tokens taken, 12000 left",
                "rate[1]: bucket connection write: 8000 tokens taken, 152000 left",
                "rate[1]: bucket all write: 8000 tokens taken, 8000 left",
            ],
        ),
    ] {
        let chain = Chain::new(params);
        let disk = chain.disk();
        assert!(reads_at_once(&*disk, 500) && writes_at_once(&*disk, 1000));
        assert_eq!(chain.bench.lines(), told);
    }
    let chain = Chain::new(&[("rate", "8000"), ("burstiness", "0"), ("-D bucket", "1")]);
    let disk = chain.disk();
    chain.bench.run(async { disk.pread(100, 0).await }).unwrap();
    let lines = chain.bench.lines();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("rate[1]: bucket all read: ") && line.contains(" tokens wait for ")),
        "{lines:?}"
    );
}

#[test]
fn connections_share_one_rate_and_have_another_each() {
    let chain = Chain::new(&[("rate", "16"), ("connection-rate", "8"), ("burstiness", "1000")]);
    let [first, second, third] = [chain.disk(), chain.disk(), chain.disk()];
    assert!(reads_at_once(&*first, 1000) && !reads_at_once(&*first, 500));
    assert!(reads_at_once(&*second, 800));
    assert!(!reads_at_once(&*third, 1000), "no more than 200 are left for all");
    assert!(reads_at_once(&*third, 200), "and what did not pass was given back");
    let each = Chain::new(&[("connection-rate", "8"), ("burstiness", "1000")]);
    assert!((0..10).all(|_| reads_at_once(&*each.disk(), 1000)));
}

#[test]
fn an_operation_that_has_not_begun_takes_nothing() {
    let disk = Chain::new(&[("rate", "8"), ("burstiness", "1000")]).disk();
    for _ in 0..10 {
        drop(disk.pread(1001, 0));
    }
    assert!(reads_at_once(&*disk, 1000));
}

/// Reads of these lengths, all at once; in which order they are done, and how long that takes.
fn race(chain: &Chain, disk: &Arc<dyn Disk>, lengths: &[u32]) -> (Vec<usize>, Duration) {
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let start = Instant::now();
    let tasks: Vec<_> = (0..)
        .zip(lengths)
        .map(|(number, len)| {
            let (disk, order, len) = (disk.clone(), order.clone(), *len);
            chain.bench.server().spawn(async move {
                disk.pread(len, 0).await.unwrap();
                order.lock().unwrap().push(number);
            })
        })
        .collect();
    chain.bench.run(async {
        for task in tasks {
            task.join().await;
        }
    });
    let order = std::mem::take(&mut *order.lock().unwrap());
    (order, start.elapsed())
}

#[test]
fn many_in_flight_share_one_bucket() {
    for key in ["rate", "connection-rate"] {
        // 1 Mbit a second, of which 50 ms may come at once.
        let chain = Chain::new(&[(key, "1M"), ("burstiness", "50ms")]);
        let (order, time) = race(&chain, &chain.disk(), &[4096; 16]);
        assert_eq!(order.len(), 16);
        // 512 Kbit.
        assert!(time >= Duration::from_millis(450), "{time:?}");
    }
}

#[test]
fn a_small_request_overtakes_a_large_one() {
    let chain = Chain::new(&[("rate", "1M"), ("burstiness", "0")]);
    let (order, time) = race(&chain, &chain.disk(), &[100_000, 512, 512]);
    assert_eq!(order.last(), Some(&0), "{order:?}");
    assert!(time >= Duration::from_millis(700), "{time:?}");
}

#[test]
fn who_hangs_up_waits_no_longer_nor_does_anybody_for_them() {
    let chain = Chain::new(&[("rate", "8"), ("burstiness", "1000")]);
    let (disk, connection) = chain.open();
    let patient = chain.disk();
    assert!(reads_at_once(&*disk, 1000));
    chain.bench.run(async {
        let mut reads: Vec<_> = (0..3).map(|_| disk.pread(512, 0).into_future()).collect();
        let mut other = patient.pread(1, 0).into_future();
        for read in &mut reads {
            assert!(poll_once(read).await.is_none());
        }
        assert!(poll_once(&mut other).await.is_none());
        connection.disconnect();
        for read in reads {
            assert_eq!(read.await.map(drop).unwrap_err().errno(), ESHUTDOWN);
        }
        other.await.unwrap();
    });
}

#[test]
fn a_server_that_stops_lets_nobody_wait() {
    let chain = Chain::new(&[("connection-rate", "8"), ("burstiness", "1")]);
    let disk = chain.disk();
    chain.bench.run(async {
        let mut write = disk.pwrite(Buf::from(vec![7; 512]), 0, NONE).into_future();
        assert!(poll_once(&mut write).await.is_none());
        chain.bench.server().shutdown();
        assert_eq!(write.await.unwrap_err().errno(), ESHUTDOWN);
    });
    assert!(matches!(memory_of(&chain), Some(0)), "the write has not arrived");
}

/// The first byte, past the filter.
fn memory_of(chain: &Chain) -> Option<u8> {
    let disk = chain.disk();
    match disk.pread(1, 0) {
        Op::Ready(Ok(data)) => {
            let pool = chain.bench.request(1, "").pool();
            chain.bench.run(async { data.into_buf(&pool).await }).ok().map(|buf| buf[0])
        }
        _ => None,
    }
}

fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn a_file_changes_the_rate_also_for_those_who_wait() {
    for (key, file) in [("rate", "rate-file"), ("connection-rate", "connection-rate-file")] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rate");
        let chain = Chain::new(&[(key, "8"), ("burstiness", "1000"), (file, path.to_str().unwrap())]);
        let disk = chain.disk();
        assert!(reads_at_once(&*disk, 1000), "without the file the parameter counts");
        chain.bench.run(async {
            // A day at this rate.
            let mut read = disk.pread(100_000, 0).into_future();
            assert!(poll_once(&mut read).await.is_none());
            put(&path, " 1G \n");
            read.await.unwrap();
        });
        // What was read last holds, and nonsense is said once.
        put(&path, "fast\n");
        chain.bench.run(async {
            let mistakes = || chain.bench.lines().iter().filter(|line| line.contains("fast")).count();
            while mistakes() == 0 {
                disk.pread(1000, 0).await.unwrap();
            }
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(250) {
                disk.pread(1000, 0).await.unwrap();
            }
            assert_eq!(mistakes(), 1, "{:?}", chain.bench.lines());
        });
        fs::remove_file(&path).unwrap();
        assert!(chain.bench.lines().iter().any(|line| line.ends_with("rate adjusted from 8 to 1073741824")));
        // 0 is no limit.
        put(&path, "0");
        chain.bench.run(async {
            while !chain.bench.lines().iter().any(|line| line.ends_with("to 0")) {
                disk.pread(1, 0).await.unwrap();
            }
        });
        assert!((0..100).all(|_| reads_at_once(&*disk, SIZE as u32)));
    }
}

#[test]
fn a_pipe_is_not_waited_for() {
    let chain = Chain::new(&[("rate", "8"), ("burstiness", "1000"), ("rate-file", "/dev/zero")]);
    assert!(reads_at_once(&*chain.disk(), 1000));
}

#[test]
fn bad_parameters() {
    let refusal = |key, value| {
        let result = Bench::default().filter::<RateFilter>("rate", &[(key, value)], memory());
        result.map(drop).unwrap_err().to_string()
    };
    assert!(refusal("rate", "0").contains("rate cannot be set to 0"));
    assert!(refusal("connection-rate", "-1").starts_with("connection-rate: size cannot be negative"));
    assert!(refusal("rate", "fast").contains("could not parse size string"));
    assert!(refusal("burstiness", "-1").starts_with("burstiness: "));
}

#[test]
fn keeps_the_promises_of_a_disk() {
    // A request of the kit now and then has to wait.
    let Chain { bench, next } = Chain::new(&[("rate", "2G"), ("connection-rate", "1G"), ("burstiness", "0")]);
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
