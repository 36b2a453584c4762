// SPDX-License-Identifier: BSD-3-Clause
//! [`Flaky`]: a plugin whose disks break after a while, and that asserts that they are not used wrongly.

use nbdkit_filter::{testing::Bench, *};
use nbdkit_retry_filter::Retry;
use std::{
    ops::RangeInclusive,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

pub const SIZE: u64 = 64 << 10;

/// Copies share their bytes and counters.
#[derive(Clone)]
pub struct Flaky {
    pub model: ThreadModel,
    /// How many operations each disk does before it breaks; those after the last one never break.
    pub breaks: Vec<u64>,
    /// What a broken disk answers.
    pub errno: i32,
    /// How large each disk is; those after the last one are like it.
    pub sizes: Vec<u64>,
    /// Which opens fail, counted from 0.
    pub refuses: RangeInclusive<u64>,
    /// All disks but the first can only be read and written.
    pub poorer: bool,
    pub shared: Arc<Shared>,
}

#[derive(Default)]
pub struct Shared {
    bytes: Mutex<Vec<u8>>,
    opens: AtomicU64,
    closes: AtomicU64,
    read_only: Mutex<Vec<bool>>,
}

impl Default for Flaky {
    fn default() -> Flaky {
        Flaky {
            model: ThreadModel::Parallel,
            breaks: Vec::new(),
            errno: ENOSPC,
            sizes: vec![SIZE],
            #[allow(clippy::reversed_empty_ranges)]
            refuses: 1..=0,
            poorer: false,
            shared: Arc::default(),
        }
    }
}

impl Flaky {
    pub fn breaking(breaks: impl Into<Vec<u64>>) -> Flaky {
        Flaky { breaks: breaks.into(), ..Flaky::default() }
    }

    pub fn opens(&self) -> u64 {
        self.shared.opens.load(SeqCst)
    }

    pub fn closes(&self) -> u64 {
        self.shared.closes.load(SeqCst)
    }

    /// How each disk was opened.
    pub fn read_only(&self) -> Vec<bool> {
        self.shared.read_only.lock().unwrap().clone()
    }
}

impl Plugin for Flaky {
    fn thread_model(&self) -> ThreadModel {
        self.model
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let number = self.shared.opens.fetch_add(1, SeqCst);
        if self.refuses.contains(&number) {
            return Op::err(Error::new(EACCES, "refused"));
        }
        self.shared.read_only.lock().unwrap().push(req.read_only);
        self.shared.bytes.lock().unwrap().resize(SIZE as usize, 0);
        let size = *self.sizes.get(number as usize).or(self.sizes.last()).unwrap();
        let info = Info::writable(size).with(|info| {
            if number == 0 || !self.poorer {
                (info.flush, info.trim, info.multi_conn, info.extents) = (true, true, true, true);
                (info.fua, info.cache, info.zero) = (Support::Native, Support::Native, Support::Native);
            } else {
                info.zero = Support::None;
            }
            if req.read_only {
                info.without_writing();
            }
        });
        req.ready(FlakyDisk {
            info,
            left: AtomicU64::new(self.breaks.get(number as usize).copied().unwrap_or(u64::MAX)),
            errno: self.errno,
            users: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            shared: self.shared.clone(),
        })
    }
}

struct FlakyDisk {
    info: Info,
    /// So many operations, and it breaks.
    left: AtomicU64,
    errno: i32,
    users: AtomicU64,
    closed: AtomicBool,
    shared: Arc<Shared>,
}

impl FlakyDisk {
    /// Now and then at once, now and then not.
    fn change<'a, T: Send + 'a>(
        &'a self,
        span: Span,
        change: impl FnOnce(&mut [u8]) -> T + Send + 'a,
    ) -> Op<'a, T> {
        let work = move || {
            assert!(!self.closed.load(SeqCst), "used after it was closed");
            self.left
                .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
                .map_err(|_| Error::new(self.errno, "broken"))?;
            Ok(change(&mut self.shared.bytes.lock().unwrap()[span.offset as usize..span.end() as usize]))
        };
        match self.left.load(SeqCst) % 2 {
            0 => Op::now(work),
            _ => Op::wait(async move {
                self.users.fetch_add(1, SeqCst);
                futures_lite::future::yield_now().await;
                let result = work();
                self.users.fetch_sub(1, SeqCst);
                result
            }),
        }
    }
}

impl Disk for FlakyDisk {
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

    fn zero(&self, span: Span, _: Flags) -> Op<'_, ()> {
        self.change(span, |bytes| bytes.fill(0))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.change(span, |_| ())
    }

    fn extents(&self, span: Span, _: Flags) -> Op<'_, Extents> {
        self.change(span, move |_| Extents::data(span.len))
    }

    fn close(&self) -> Op<'_, ()> {
        assert_eq!(self.users.load(SeqCst), 0, "closed under an operation");
        assert!(!self.closed.swap(true, SeqCst), "closed twice");
        self.shared.closes.fetch_add(1, SeqCst);
        Op::ok(())
    }
}

type Try = fn(&dyn Disk) -> Op<'_, ()>;

/// Every one that is tried again, as its messages call it.
pub const OPERATIONS: [(&str, Try); 7] = [
    ("pread", |disk| disk.pread(512, 0).map(|_| Ok(()))),
    ("pwrite", |disk| disk.pwrite(Buf::from(vec![1; 512]), 0, Flags::default())),
    ("flush", |disk| disk.flush()),
    ("trim", |disk| disk.trim(Span::new(0, 512), Flags::default())),
    ("zero", |disk| disk.zero(Span::new(0, 512), Flags::default())),
    ("cache", |disk| disk.cache(Span::new(0, 512))),
    ("extents", |disk| disk.extents(Span::new(0, 512), Flags::default()).map(|_| Ok(()))),
];

/// A flaky plugin behind the filter.
pub struct Chain {
    pub bench: Bench,
    pub next: Next,
    pub flaky: Flaky,
}

impl Chain {
    pub fn new(flaky: Flaky, params: &[(&str, &str)]) -> Chain {
        let bench = Bench::default();
        let below = Next::plugin("flaky", Arc::new(flaky.clone()));
        let next = bench.filter::<Retry>("retry", params, below).unwrap();
        Chain { bench, next, flaky }
    }

    pub fn open(&self) -> Result<Arc<dyn Disk>> {
        self.bench.open(&self.next)
    }

    /// The connection too, so that it can be cut.
    pub fn connect(&self) -> (Arc<dyn Disk>, Connection) {
        let req = self.bench.request(1, "");
        let connection = req.connection.clone();
        (self.bench.run(async { self.next.open(req).await }).unwrap(), connection)
    }

    pub fn read(&self, disk: &Arc<dyn Disk>) -> Result<()> {
        self.bench.run(async { disk.pread(512, 0).await.map(drop) })
    }

    pub fn close(&self, disk: &Arc<dyn Disk>) {
        self.bench.run(async { disk.close().await }).unwrap();
    }

    /// All of these at once; their results in order.
    pub fn all<T: Send + 'static>(
        &self,
        operations: impl Iterator<Item = impl Future<Output = Result<T>> + Send + 'static>,
    ) -> Vec<Result<T>> {
        let tasks: Vec<_> = operations.map(|operation| self.bench.server().spawn(operation)).collect();
        self.bench.run(async {
            let mut results = Vec::new();
            for task in tasks {
                results.push(task.join().await);
            }
            results
        })
    }
}
