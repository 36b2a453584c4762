// SPDX-License-Identifier: BSD-3-Clause
//! A plugin with a write-back cache for each connection: the worst that is allowed without multi-conn.

use async_lock::Mutex as Door;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_multi_conn_filter::MultiConn;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI32, Ordering::SeqCst},
    },
};

pub const SIZE: u64 = 8_000;

/// The plugin.
#[derive(Clone)]
pub struct Behind(Arc<Store>);

struct Store {
    info: Info,
    model: ThreadModel,
    /// What is durable, and what others see.
    bytes: Mutex<Vec<u8>>,
    /// Which connections were flushed.
    flushes: Mutex<Vec<u64>>,
    /// What becomes of a flush: an errno, or 0.
    errno: AtomicI32,
    /// Shut, flushes wait here.
    door: Door<()>,
}

impl Behind {
    pub fn fail(&self, errno: i32) {
        self.0.errno.store(errno, SeqCst);
    }

    pub fn door(&self) -> &Door<()> {
        &self.0.door
    }
}

impl Plugin for Behind {
    fn thread_model(&self) -> ThreadModel {
        self.0.model
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let mut info = self.0.info.clone();
        if req.read_only {
            info.without_writing();
        }
        let (cache, closed) = (Mutex::default(), AtomicBool::new(false));
        req.ready(Cached { store: self.0.clone(), info, number: req.connection.number(), cache, closed })
    }
}

struct Cached {
    store: Arc<Store>,
    info: Info,
    number: u64,
    /// Each byte that was read or written, and whether it was written.
    cache: Mutex<BTreeMap<u64, (u8, bool)>>,
    closed: AtomicBool,
}

impl Cached {
    fn fill(&self, offset: u64, bytes: impl Iterator<Item = u8>) -> Op<'_, ()> {
        let mut cache = self.cache.lock().unwrap();
        cache.extend((offset..).zip(bytes.map(|byte| (byte, true))));
        Op::ok(())
    }
}

impl Disk for Cached {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let mut cache = self.cache.lock().unwrap();
        let bytes = self.store.bytes.lock().unwrap();
        let read = (offset..offset + u64::from(len))
            .map(|at| cache.entry(at).or_insert_with(|| (bytes[at as usize], false)).0);
        Op::ok(Buf::from(read.collect::<Vec<_>>()).into())
    }

    fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        self.fill(offset, data.iter().copied())
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.zero(span, flags)
    }

    fn zero(&self, span: Span, _: Flags) -> Op<'_, ()> {
        self.fill(span.offset, (0..span.len).map(|_| 0))
    }

    fn flush(&self) -> Op<'_, ()> {
        assert!(!self.closed.load(SeqCst), "nothing is called after close");
        Op::wait(async {
            self.store.flushes.lock().unwrap().push(self.number);
            drop(self.store.door.lock().await);
            match self.store.errno.load(SeqCst) {
                0 => {}
                errno => return Err(Error::new(errno, "flush failed")),
            }
            let mut cache = self.cache.lock().unwrap();
            let mut bytes = self.store.bytes.lock().unwrap();
            for (at, (byte, _)) in std::mem::take(&mut *cache).into_iter().filter(|(_, (_, wrote))| *wrote) {
                bytes[at as usize] = byte;
            }
            Ok(())
        })
    }

    /// Forgets what was not flushed.
    fn close(&self) -> Op<'_, ()> {
        assert!(!self.closed.swap(true, SeqCst), "closed once");
        Op::ok(())
    }
}

/// The plugin behind the filter.
pub struct Chain {
    pub bench: Bench,
    pub next: Next,
    pub behind: Behind,
}

impl Chain {
    pub fn new(params: &[(&str, &str)]) -> Chain {
        Chain::with(params, |_| ())
    }

    pub fn with(params: &[(&str, &str)], set: impl FnOnce(&mut Info)) -> Chain {
        Chain::custom(params, ThreadModel::Parallel, set)
    }

    pub fn custom(params: &[(&str, &str)], model: ThreadModel, set: impl FnOnce(&mut Info)) -> Chain {
        let bench = Bench::default();
        let info = Info::writable(SIZE).with(|info| {
            (info.flush, info.trim, info.zero) = (true, true, Support::Native);
            set(info);
        });
        let behind = Behind(Arc::new(Store {
            info,
            model,
            bytes: Mutex::new(vec![0; SIZE as usize]),
            flushes: Mutex::default(),
            errno: AtomicI32::new(0),
            door: Door::new(()),
        }));
        let plugin = Next::plugin("behind", Arc::new(behind.clone()));
        let next = bench.filter::<MultiConn>("multi-conn", params, plugin).unwrap();
        Chain { bench, next, behind }
    }

    pub fn connect(&self, number: u64, export: &str) -> Client {
        let req = self.bench.request(number, export);
        let disk = self.bench.run(async { self.next.open(req).await }).unwrap();
        Client { bench: self.bench.clone(), disk }
    }

    /// What is durable at `offset`.
    pub fn stored(&self, offset: u64) -> u8 {
        self.behind.0.bytes.lock().unwrap()[offset as usize]
    }

    /// Which connections were flushed since this was last asked, in order of their numbers.
    pub fn flushes(&self) -> Vec<u64> {
        let mut flushes = std::mem::take(&mut *self.behind.0.flushes.lock().unwrap());
        flushes.sort_unstable();
        flushes
    }
}

/// One connection.
pub struct Client {
    bench: Bench,
    pub disk: Arc<dyn Disk>,
}

impl Client {
    pub fn read(&self, offset: u64) -> u8 {
        let read = async { self.disk.pread(1, offset).await?.into_buf(&Pool::new()).await };
        self.bench.run(read).unwrap()[0]
    }

    pub fn write(&self, offset: u64, byte: u8) {
        let write = async { self.disk.pwrite(Buf::from(vec![byte]), offset, Flags::default()).await };
        self.bench.run(write).unwrap();
    }

    pub fn trim(&self, offset: u64) {
        self.bench.run(async { self.disk.trim(Span::new(offset, 1), Flags::default()).await }).unwrap();
    }

    pub fn zero(&self, offset: u64) {
        self.bench.run(async { self.disk.zero(Span::new(offset, 1), Flags::default()).await }).unwrap();
    }

    pub fn flush(&self) -> Result<()> {
        self.bench.run(async { self.disk.flush().await })
    }

    pub fn close(&self) -> Result<()> {
        self.bench.run(async { self.disk.close().await })
    }
}
