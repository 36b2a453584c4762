// SPDX-License-Identifier: BSD-3-Clause
//! Operations wait as long as they should (which is all that a clock can prove), and no longer than their client.
#![allow(clippy::unwrap_used)]

use nbdkit_delay_filter::Delay;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::Kit;
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

const SIZE: u64 = 64 << 10;
const HOUR: &str = "3600";

/// A disk in memory that writes down what arrives.
#[derive(Default)]
struct Ram(Arc<Inner>);

#[derive(Default)]
struct Inner {
    bytes: Mutex<Vec<u8>>,
    diary: Mutex<Vec<&'static str>>,
}

impl Plugin for Ram {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        self.0.note("open");
        self.0.bytes.lock().unwrap().resize(SIZE as usize, 0);
        req.inline(RamDisk { inner: self.0.clone(), read_only: req.read_only })
    }
}

impl Inner {
    fn note(&self, what: &'static str) {
        self.diary.lock().unwrap().push(what);
    }

    fn change(&self, what: &'static str, span: Span, change: impl FnOnce(&mut [u8])) -> Result<()> {
        self.note(what);
        change(&mut self.bytes.lock().unwrap()[span.offset as usize..span.end() as usize]);
        Ok(())
    }
}

struct RamDisk {
    inner: Arc<Inner>,
    read_only: bool,
}

impl SyncDisk for RamDisk {
    fn info(&self) -> Result<Info> {
        Ok(Info::writable(SIZE).with(|info| {
            (info.flush, info.trim, info.multi_conn, info.extents) = (true, true, true, true);
            (info.fua, info.cache, info.zero) = (Support::Native, Support::Native, Support::Native);
            if self.read_only {
                info.without_writing();
            }
        }))
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.inner.change("read", Span::new(offset, buf.len() as u64), |bytes| buf.copy_from_slice(bytes))
    }

    fn pwrite(&self, data: &[u8], offset: u64, _: Flags) -> Result<()> {
        self.inner.change("write", Span::new(offset, data.len() as u64), |bytes| bytes.copy_from_slice(data))
    }

    fn flush(&self) -> Result<()> {
        self.inner.change("flush", Span::new(0, 0), |_| ())
    }

    fn trim(&self, span: Span, _: Flags) -> Result<()> {
        self.inner.change("trim", span, |bytes| bytes.fill(0))
    }

    fn zero(&self, span: Span, _: Flags) -> Result<()> {
        self.inner.change("zero", span, |bytes| bytes.fill(0))
    }

    fn cache(&self, span: Span) -> Result<()> {
        self.inner.change("cache", span, |_| ())
    }

    fn extents(&self, span: Span, _: Flags) -> Result<Extents> {
        self.inner.change("extents", span, |_| ()).map(|()| Extents::data(span.len))
    }

    fn finalize(&self) -> Result<()> {
        self.inner.change("finalize", Span::new(0, 0), |_| ())
    }
}

/// Of the disks that are opened, the server knows the connection too: it can be cut.
struct Chain {
    bench: Bench,
    next: Next,
    inner: Arc<Inner>,
}

impl Chain {
    fn new(params: &[(&str, &str)]) -> Chain {
        let bench = Bench::default();
        let ram = Ram::default();
        let inner = ram.0.clone();
        let next = bench.filter::<Delay>("delay", params, Next::plugin("ram", Arc::new(ram))).unwrap();
        Chain { bench, next, inner }
    }

    fn open(&self) -> (Arc<dyn Disk>, Connection) {
        let req = self.bench.request(1, "");
        let connection = req.connection.clone();
        (self.bench.run(async { self.next.open(req).await }).unwrap(), connection)
    }

    fn diary(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.inner.diary.lock().unwrap())
    }
}

type Try = fn(&dyn Disk) -> Op<'_, ()>;

const OPERATIONS: [(&str, Try); 8] = [
    ("read", |disk| disk.pread(512, 0).map(|_| Ok(()))),
    ("write", |disk| disk.pwrite(Buf::from(vec![1; 512]), 0, Flags::default())),
    ("zero", |disk| disk.zero(Span::new(0, 512), Flags::default())),
    ("trim", |disk| disk.trim(Span::new(0, 512), Flags::default())),
    ("extents", |disk| disk.extents(Span::new(0, 512), Flags::default()).map(|_| Ok(()))),
    ("cache", |disk| disk.cache(Span::new(0, 512))),
    ("finalize", |disk| disk.finalize()),
    ("flush", |disk| disk.flush()),
];

/// Which operations wait, of those in [`OPERATIONS`].
fn waiting(disk: &dyn Disk) -> Vec<&'static str> {
    let waits = |(name, call): (_, Try)| matches!(call(disk), Op::Wait(_)).then_some(name);
    OPERATIONS.into_iter().filter_map(waits).collect()
}

#[test]
fn every_parameter_slows_what_it_names_and_nothing_else() {
    for (params, slow) in [
        (&[][..], &[][..]),
        (&[("rdelay", HOUR)], &["read"]),
        (&[("delay-read", HOUR)], &["read"]),
        (&[("wdelay", HOUR)], &["write", "zero", "trim"]),
        (&[("delay-write", HOUR)], &["write"]),
        (&[("delay-zero", HOUR)], &["zero"]),
        (&[("delay-trim", HOUR)], &["trim"]),
        (&[("delay-zero", "0"), ("wdelay", HOUR)], &["write", "trim"]),
        (&[("delay-extents", HOUR)], &["extents"]),
        (&[("delay-cache", HOUR)], &["cache"]),
        (&[("delay-close", HOUR)], &["finalize"]),
    ] {
        let (disk, _) = Chain::new(params).open();
        assert_eq!(waiting(&*disk), slow, "{params:?}");
    }
}

#[test]
fn waits_at_least_that_long() {
    let chain = Chain::new(&[("delay-open", "30ms"), ("rdelay", "40ms"), ("delay-close", "50ms")]);
    let timed = |run: &dyn Fn()| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    assert!(timed(&|| drop(chain.open())) >= Duration::from_millis(30));
    let (disk, _) = chain.open();
    let read = || chain.bench.run(async { disk.pread(1, 0).await.map(drop) }).unwrap();
    assert!(timed(&read) >= Duration::from_millis(40));
    assert!(
        timed(&|| chain.bench.run(async { disk.finalize().await }).unwrap()) >= Duration::from_millis(50)
    );
    assert_eq!(chain.diary(), ["open", "open", "read", "finalize"]);
}

#[test]
fn who_hangs_up_waits_no_longer() {
    let chain = Chain::new(&[("rdelay", HOUR), ("delay-close", HOUR)]);
    let (disk, connection) = chain.open();
    chain.diary();
    let error = chain.bench.run(async {
        let mut read = disk.pread(512, 0).into_future();
        assert!(futures_lite::future::poll_once(&mut read).await.is_none());
        connection.disconnect();
        read.await.unwrap_err()
    });
    assert_eq!(error.errno(), ESHUTDOWN);
    assert_eq!(error.to_string(), "a wait of 3600s was cut short: the connection is closing");
    assert_eq!(chain.diary(), [""; 0], "the read has not arrived");
    chain.bench.run(async { disk.finalize().await }).unwrap();
    assert_eq!(chain.diary(), ["finalize"], "the goodbye has");
}

#[test]
fn a_server_that_stops_lets_nobody_wait() {
    let chain = Chain::new(&[("delay-open", HOUR)]);
    let req = chain.bench.request(1, "");
    let result = chain.bench.run(async {
        let mut open = chain.next.open(req).into_future();
        assert!(futures_lite::future::poll_once(&mut open).await.is_none());
        chain.bench.server().shutdown();
        open.await
    });
    assert_eq!(result.map(drop).unwrap_err().errno(), ESHUTDOWN);
    assert_eq!(chain.diary(), [""; 0], "nothing was opened");
}

#[test]
fn a_fast_zero_may_fail_at_once() {
    let fast = Flags { fast_zero: true, ..Flags::default() };
    let (disk, _) = Chain::new(&[("delay-zero", HOUR)]).open();
    assert!(!disk.info().fast_zero);
    assert!(matches!(disk.zero(Span::new(0, 1), fast), Op::Wait(_)), "waits like any other");
    for params in [&[("delay-fast-zero", "no"), ("delay-zero", HOUR)][..], &[("delay-fast-zero", "no")]] {
        let (disk, _) = Chain::new(params).open();
        assert!(disk.info().fast_zero, "clients may ask");
        let Op::Ready(Err(error)) = disk.zero(Span::new(0, 1), fast) else { panic!("should fail at once") };
        assert_eq!(error.errno(), EOPNOTSUPP);
    }
}

#[test]
fn nothing_waits_without_the_trigger() {
    let directory = tempfile::tempdir().unwrap();
    let trigger = directory.path().join("slow");
    let path = trigger.to_str().unwrap();
    let chain = Chain::new(&[("rdelay", HOUR), ("delay-open", HOUR), ("delay-trigger", path)]);
    let (disk, _) = chain.open();
    assert_eq!(waiting(&*disk), [""; 0]);
    std::fs::write(&trigger, "").unwrap();
    assert_eq!(waiting(&*disk), ["read"]);
    std::fs::remove_file(&trigger).unwrap();
    assert_eq!(waiting(&*disk), [""; 0]);
}

#[test]
fn a_slow_disk_is_a_disk() {
    let params = [("rdelay", "1us"), ("wdelay", "1us"), ("delay-extents", "1us"), ("delay-cache", "1us")];
    let Chain { bench, next, .. } = Chain::new(&params);
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .run();
}

#[test]
fn bad_parameters() {
    for key in ["rdelay", "wdelay", "delay-write", "delay-open"] {
        let bench = Bench::default();
        let ram = bench.plugin::<Ram>("ram", &[]).unwrap();
        let Err(error) = bench.filter::<Delay>("delay", &[(key, "soon")], ram) else { panic!("{key}=soon") };
        assert!(error.to_string().starts_with(&format!("{key}: could not parse delay or sleep: \"soon\"")));
    }
}
