// SPDX-License-Identifier: BSD-3-Clause
//! [`Strict`]: a plugin whose disks refuse what is not made of blocks, and write down what they are asked for.

use nbdkit_blocksize_filter::Blocksize;
use nbdkit_filter::{testing::Bench, *};
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// Copies share their bytes and their diary.
#[derive(Clone)]
pub struct Strict {
    pub size: u64,
    /// What is refused.
    pub minimum: u64,
    pub maxdata: u64,
    pub maxlen: u64,
    /// What clients are told, if anything.
    pub block: Option<BlockSize>,
    pub fua: Support,
    /// How long the extents are that it tells of, if it does not tell all at once.
    pub extent: u64,
    pub shared: Arc<Shared>,
}

#[derive(Default)]
pub struct Shared {
    bytes: Mutex<Vec<u8>>,
    diary: Mutex<Vec<String>>,
    asked: AtomicU64,
}

/// Larger disks have no bytes: what is written to them is lost.
const MOST: u64 = 1 << 20;

impl Default for Strict {
    fn default() -> Strict {
        Strict::new(100_000, 512)
    }
}

impl Strict {
    pub fn new(size: u64, minimum: u64) -> Strict {
        Strict {
            size,
            minimum,
            maxdata: u64::MAX,
            maxlen: u32::MAX.into(),
            block: None,
            fua: Support::Native,
            extent: u64::MAX,
            shared: Arc::default(),
        }
    }

    /// What was asked for since the last look.
    pub fn diary(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.diary.lock().unwrap())
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.shared.bytes.lock().unwrap().clone()
    }
}

impl Plugin for Strict {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        self.shared.bytes.lock().unwrap().resize(self.size.min(MOST) as usize, 0);
        let info = Info::writable(self.size).with(|info| {
            (info.flush, info.trim, info.multi_conn, info.extents) = (true, true, true, true);
            (info.fua, info.cache, info.zero) = (self.fua, Support::Native, Support::Native);
            info.fast_zero = true;
            info.block = self.block;
            if req.read_only {
                info.without_writing();
            }
        });
        req.ready(StrictDisk { info, is: self })
    }
}

struct StrictDisk {
    info: Info,
    is: Arc<Strict>,
}

impl StrictDisk {
    fn ask<'a, T: Send + 'a>(
        &'a self,
        name: &str,
        span: Span,
        flags: Flags,
        work: impl FnOnce(Option<&mut [u8]>) -> T + Send + 'a,
    ) -> Op<'a, T> {
        let most = if ["read", "write", "cache"].contains(&name) { self.is.maxdata } else { self.is.maxlen };
        let fits =
            (span.offset | span.len).is_multiple_of(self.is.minimum) && span.len <= most && span.len > 0;
        if !fits || span.end() > self.is.size / self.is.minimum * self.is.minimum {
            return Op::err(Error::invalid(format!("{name} {}@{} is not for me", span.len, span.offset)));
        }
        let name = format!("{name} {}@{}{}", span.len, span.offset, if flags.fua { " fua" } else { "" });
        let shared = &self.is.shared;
        let work = move || {
            shared.diary.lock().unwrap().push(name);
            let mut bytes = shared.bytes.lock().unwrap();
            Ok(work(bytes.get_mut(span.offset as usize..span.end() as usize)))
        };
        // Now and then it takes a while, so that others come in between.
        match shared.asked.fetch_add(1, SeqCst) % 4 {
            0 => Op::now(work),
            turns => Op::wait(async move {
                for _ in 0..turns {
                    futures_lite::future::yield_now().await;
                }
                work()
            }),
        }
    }
}

impl Disk for StrictDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.ask("read", Span::new(offset, len.into()), Flags::default(), move |bytes| match bytes {
            Some(bytes) => Buf::from(bytes.to_vec()).into(),
            None => Data::zero(len.into()),
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.ask("write", Span::new(offset, data.len() as u64), flags, move |bytes| {
            if let Some(bytes) = bytes {
                bytes.copy_from_slice(&data);
            }
        })
    }

    fn flush(&self) -> Op<'_, ()> {
        self.is.shared.diary.lock().unwrap().push("flush".to_owned());
        Op::ok(())
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.ask("trim", span, flags, |bytes| {
            if let Some(bytes) = bytes {
                bytes.fill(0);
            }
        })
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.ask("zero", span, flags, |bytes| {
            if let Some(bytes) = bytes {
                bytes.fill(0);
            }
        })
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.ask("cache", span, Flags::default(), |_| ())
    }

    /// A block is a hole where it has nothing but zeroes.
    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.ask("extents", span, flags, move |bytes| {
            let Some(bytes) = bytes else { return Extents::hole(self.is.size - span.offset) };
            let blocks = bytes.chunks(self.is.minimum as usize).map(|block| Extent {
                len: block.len() as u64,
                hole: block.iter().all(|byte| *byte == 0),
                zero: block.iter().all(|byte| *byte == 0),
            });
            let mut extents: Extents = blocks.collect();
            extents.truncate(self.is.extent);
            if flags.req_one {
                extents = extents.into_iter().take(1).collect();
            }
            extents
        })
    }
}

/// A strict plugin behind the filter.
pub struct Chain {
    pub bench: Bench,
    pub next: Next,
    pub strict: Strict,
}

impl Chain {
    pub fn new(strict: Strict, params: &[(&str, &str)]) -> Chain {
        let bench = Bench::default();
        let below = Next::plugin("strict", Arc::new(strict.clone()));
        let next = bench.filter::<Blocksize>("blocksize", params, below).unwrap();
        Chain { bench, next, strict }
    }

    pub fn open(&self) -> Arc<dyn Disk> {
        self.bench.open(&self.next).unwrap()
    }

    /// Runs `op`, and says what the disk behind was asked for since the last look.
    pub fn asked<T>(&self, op: Op<'_, T>) -> Vec<String> {
        if let Err(error) = self.bench.run(op.into_future()) {
            panic!("{error}");
        }
        self.strict.diary()
    }
}
