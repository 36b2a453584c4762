// SPDX-License-Identifier: BSD-3-Clause
//! The disk behind: its bytes follow a rule, it takes its time, and it knows what it was asked.

use futures_lite::future::yield_now;
use nbdkit_filter::*;
use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
};

pub const SIZE: u64 = 2 << 20;

/// The byte at `offset`. The last quarter of a disk of SIZE is a hole.
pub fn byte(offset: u64) -> u8 {
    match (SIZE / 4 * 3..SIZE).contains(&offset) {
        true => 0,
        false => (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 | 1,
    }
}

pub struct Behind {
    size: AtomicU64,
    reads: Mutex<Vec<(u64, u64)>>,
    caches: AtomicU32,
    at_once: AtomicBool,
    failing: AtomicBool,
    written: AtomicBool,
}

impl Behind {
    pub fn new(size: u64) -> Arc<Behind> {
        Arc::new(Behind {
            size: AtomicU64::new(size),
            reads: Mutex::default(),
            caches: AtomicU32::default(),
            at_once: AtomicBool::default(),
            failing: AtomicBool::default(),
            written: AtomicBool::default(),
        })
    }

    /// Which reads have come since this was asked last: offsets and lengths.
    pub fn reads(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.reads.lock().unwrap())
    }

    pub fn caches(&self) -> u32 {
        self.caches.swap(0, SeqCst)
    }

    pub fn answer_at_once(&self) {
        self.at_once.store(true, SeqCst);
    }

    pub fn fail(&self, failing: bool) {
        self.failing.store(failing, SeqCst);
    }

    pub fn resize(&self, size: u64) {
        self.size.store(size, SeqCst);
    }

    pub fn assert_never_written(&self) {
        assert!(!self.written.load(SeqCst), "the disk behind must stay as it is");
    }
}

pub struct Opener(pub Arc<Behind>);

impl Plugin for Opener {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        assert!(req.read_only, "the disk behind is opened read-only");
        let info = Info::read_only(self.0.size.load(SeqCst)).with(|info| {
            info.block = Some(BlockSize { minimum: 512, preferred: 4096, maximum: 1 << 20 });
            info.cache = Support::Native;
            info.extents = true;
        });
        req.ready(BehindDisk { info, behind: self.0.clone() })
    }
}

struct BehindDisk {
    info: Info,
    behind: Arc<Behind>,
}

impl BehindDisk {
    fn touch(&self) -> Op<'_, ()> {
        self.behind.written.store(true, SeqCst);
        Op::err(Error::new(EROFS, "read-only"))
    }
}

impl Disk for BehindDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let answer = move || {
            self.behind.reads.lock().unwrap().push((offset, len.into()));
            match self.behind.failing.load(SeqCst) {
                true => Err(Error::new(EIO, "bad sector")),
                false => {
                    Ok(Buf::from((offset..offset + u64::from(len)).map(byte).collect::<Vec<_>>()).into())
                }
            }
        };
        if self.behind.at_once.load(SeqCst) {
            return Op::now(answer);
        }
        Op::wait(async move {
            yield_now().await;
            let data = answer();
            yield_now().await;
            data
        })
    }

    fn pwrite(&self, _: Buf, _: u64, _: Flags) -> Op<'_, ()> {
        self.touch()
    }

    fn trim(&self, _: Span, _: Flags) -> Op<'_, ()> {
        self.touch()
    }

    fn zero(&self, _: Span, _: Flags) -> Op<'_, ()> {
        self.touch()
    }

    fn cache(&self, _: Span) -> Op<'_, ()> {
        self.behind.caches.fetch_add(1, SeqCst);
        Op::ok(())
    }

    fn extents(&self, span: Span, _: Flags) -> Op<'_, Extents> {
        let hole = SIZE / 4 * 3;
        let end = self.info.size;
        Op::ok(match span.offset {
            at if at < hole => {
                [Extent::data(hole.min(end) - at), Extent::hole(end.min(SIZE).saturating_sub(hole))]
                    .into_iter()
                    .collect()
            }
            at if at < SIZE => Extents::hole(end.min(SIZE) - at),
            at => Extents::data(end - at),
        })
    }
}
