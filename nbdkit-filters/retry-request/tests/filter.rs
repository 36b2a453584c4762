// SPDX-License-Identifier: BSD-3-Clause
//! Every operation has its own retries, on the same disk, and no more than it may.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::Kit;
use nbdkit_retry_request_filter::RetryRequest;
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

const SIZE: u64 = 64 << 10;
const SOON: (&str, &str) = ("retry-request-delay", "1us");
const HOUR: (&str, &str) = ("retry-request-delay", "3600");

/// A disk in memory whose next attempts fail. Copies share everything.
#[derive(Clone, Default)]
struct Shaky(Arc<Inner>);

#[derive(Default)]
struct Inner {
    bytes: Mutex<Vec<u8>>,
    /// So many of the next attempts fail.
    fails: AtomicU64,
    /// With it, every fifth attempt fails.
    always: bool,
    attempts: AtomicU64,
}

impl Inner {
    fn attempt(&self) -> Result<()> {
        let number = self.attempts.fetch_add(1, SeqCst);
        match self.fails.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(Error::new(ENOSPC, "shaky")),
            Err(_) if self.always && number.is_multiple_of(5) => Err(Error::new(ENOSPC, "shaky")),
            Err(_) => Ok(()),
        }
    }
}

impl Plugin for Shaky {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let inner = self.0.clone();
        inner.bytes.lock().unwrap().resize(SIZE as usize, 0);
        Op::now(|| inner.attempt()).and_then(move |()| {
            let info = Info::writable(SIZE).with(|info| {
                (info.flush, info.trim, info.multi_conn, info.extents) = (true, true, true, true);
                (info.fua, info.cache, info.zero) = (Support::Native, Support::Native, Support::Native);
                if req.read_only {
                    info.without_writing();
                }
            });
            req.ready(ShakyDisk { info, inner })
        })
    }
}

struct ShakyDisk {
    info: Info,
    inner: Arc<Inner>,
}

impl ShakyDisk {
    /// Every other one has to be waited for.
    fn change<'a, T: Send + 'a>(
        &'a self,
        span: Span,
        change: impl FnOnce(&mut [u8]) -> T + Send + 'a,
    ) -> Op<'a, T> {
        let work = move || {
            self.inner.attempt()?;
            Ok(change(&mut self.inner.bytes.lock().unwrap()[span.offset as usize..span.end() as usize]))
        };
        match self.inner.attempts.load(SeqCst) % 2 {
            0 => Op::now(work),
            _ => Op::wait(async {
                futures_lite::future::yield_now().await;
                work()
            }),
        }
    }
}

impl Disk for ShakyDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.change(Span::new(offset, len.into()), |bytes| Buf::from(bytes.to_vec()).into())
    }

    fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        self.change(Span::new(offset, data.len() as u64), move |bytes| bytes.copy_from_slice(&data))
    }

    fn flush(&self) -> Op<'_, ()> {
        self.change(Span::new(0, 0), |_| ())
    }

    fn trim(&self, span: Span, _: Flags) -> Op<'_, ()> {
        self.change(span, |bytes| bytes.fill(0))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        match flags.fast_zero {
            true => Op::err(Error::unsupported("fast zero")),
            false => self.change(span, |bytes| bytes.fill(0)),
        }
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.change(span, |_| ())
    }

    fn extents(&self, span: Span, _: Flags) -> Op<'_, Extents> {
        self.change(span, move |_| Extents::data(span.len))
    }
}

struct Chain {
    bench: Bench,
    next: Next,
    inner: Arc<Inner>,
}

impl Chain {
    fn new(params: &[(&str, &str)]) -> Chain {
        let (bench, shaky) = (Bench::default(), Shaky::default());
        let inner = shaky.0.clone();
        let below = Next::plugin("shaky", Arc::new(shaky));
        let next = bench.filter::<RetryRequest>("retry-request", params, below).unwrap();
        Chain { bench, next, inner }
    }

    /// Lets the next `count` attempts fail, and begins to count them.
    fn fail(&self, count: u64) {
        self.inner.fails.store(count, SeqCst);
        self.inner.attempts.store(0, SeqCst);
    }

    fn attempts(&self) -> u64 {
        self.inner.attempts.load(SeqCst)
    }
}

type Try = fn(&dyn Disk) -> Op<'_, ()>;

const OPERATIONS: [(&str, Try); 7] = [
    ("pread", |disk| disk.pread(512, 0).map(|_| Ok(()))),
    ("pwrite", |disk| disk.pwrite(Buf::from(vec![1; 512]), 0, Flags::default())),
    ("flush", |disk| disk.flush()),
    ("trim", |disk| disk.trim(Span::new(0, 512), Flags::default())),
    ("zero", |disk| disk.zero(Span::new(0, 512), Flags::default())),
    ("cache", |disk| disk.cache(Span::new(0, 512))),
    ("extents", |disk| disk.extents(Span::new(0, 512), Flags::default()).map(|_| Ok(()))),
];

#[test]
fn every_operation_has_its_retries() {
    let chain = Chain::new(&[SOON]);
    let disk = chain.bench.open(&chain.next).unwrap();
    for (name, operation) in OPERATIONS {
        let run = || chain.bench.run(async { operation(&*disk).await });
        for fails in 0..3 {
            chain.fail(fails);
            run().unwrap();
            assert_eq!(chain.attempts(), fails + 1, "{name}");
        }
        chain.fail(3);
        let error = run().unwrap_err();
        assert_eq!((error.errno(), error.to_string().as_str()), (ENOSPC, "shaky"), "{name}");
        assert_eq!(chain.attempts(), 3, "{name}");
    }
    let lines = chain.bench.lines();
    assert_eq!(lines[0], "retry-request[1]: pread failed: shaky");
    assert_eq!(lines[1], "retry-request[1]: retry 1: waiting 1µs before retrying");
}

#[test]
fn an_answer_that_is_there_is_passed_on_at_once() {
    let chain = Chain::new(&[HOUR]);
    let disk = chain.bench.open(&chain.next).unwrap();
    chain.fail(0);
    assert!(matches!(disk.flush(), Op::Ready(Ok(()))));
    let fast = Flags { fast_zero: true, ..Flags::default() };
    let error = chain.bench.run(async { disk.zero(Span::new(0, 1), fast).await }).unwrap_err();
    assert_eq!(error.errno(), EOPNOTSUPP, "is an answer too");
}

#[test]
fn opening_is_tried_again_unless_told_otherwise() {
    let open = |params: &[_], fails| {
        let chain = Chain::new(params);
        chain.fail(fails);
        (chain.bench.open(&chain.next).is_ok(), chain.attempts())
    };
    assert_eq!(open(&[SOON], 2), (true, 3));
    assert_eq!(open(&[SOON], 3), (false, 3));
    assert_eq!(open(&[SOON, ("retry-request-retries", "5")], 5), (true, 6));
    assert_eq!(open(&[HOUR, ("retry-request-open", "false")], 1), (false, 1));
    assert_eq!(open(&[HOUR, ("retry-request-retries", "0")], 1), (false, 1));
}

#[test]
fn nobody_waits_for_a_client_that_has_gone() {
    let chain = Chain::new(&[HOUR]);
    let req = chain.bench.request(1, "");
    let connection = req.connection.clone();
    let disk = chain.bench.run(async { chain.next.open(req).await }).unwrap();
    chain.fail(1);
    let error = chain.bench.run(async {
        let mut read = disk.pread(1, 0).into_future();
        assert!(futures_lite::future::poll_once(&mut read).await.is_none());
        connection.disconnect();
        read.await.unwrap_err()
    });
    assert_eq!((error.to_string().as_str(), chain.attempts()), ("shaky", 1));
}

#[test]
fn a_shaky_disk_is_a_disk() {
    let (bench, shaky) = (Bench::default(), Shaky(Arc::new(Inner { always: true, ..Inner::default() })));
    let below = Next::plugin("shaky", Arc::new(shaky.clone()));
    let params = [SOON, ("retry-request-retries", "1000")];
    let next = bench.filter::<RetryRequest>("retry-request", &params, below).unwrap();
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .operations(300)
    .run();
}

#[test]
fn bad_parameters() {
    let refusal = |key, value| {
        let bench = Bench::default();
        let next = bench.plugin::<Shaky>("shaky", &[]).unwrap();
        match bench.filter::<RetryRequest>("retry-request", &[(key, value)], next) {
            Ok(_) => panic!("{key}={value} should be refused"),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(
        refusal("retry-request-retries", "1001"),
        "retry-request-retries: value too large: 1001, should be at most 1000"
    );
    assert_eq!(
        refusal("retry-request-delay", "0s"),
        "retry-request-delay cannot be 0, should be a delay such as 100ms"
    );
    assert!(refusal("retry-request-open", "?").starts_with("retry-request-open: could not decipher boolean"));
}
