// SPDX-License-Identifier: BSD-3-Clause
//! The disk behind: writes down what is prefetched, which lasts as long as the test wants.

use nbdkit_filter::*;
use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicI32, Ordering::SeqCst},
};

pub const SIZE: u64 = (5 << 20) + 777;

/// What the disk holds.
pub fn byte(offset: u64) -> u8 {
    (offset % 251) as u8
}

pub struct Behind {
    pub support: Support,
    pub model: ThreadModel,
    prefetched: Mutex<Vec<Span>>,
    /// While somebody holds it, prefetches go on.
    pub source: async_lock::Mutex<()>,
    pub failing: AtomicBool,
    under_way: AtomicI32,
    closed: AtomicBool,
}

impl Behind {
    pub fn new(support: Support, model: ThreadModel) -> Arc<Behind> {
        Arc::new(Behind {
            support,
            model,
            prefetched: Mutex::default(),
            source: async_lock::Mutex::new(()),
            failing: AtomicBool::default(),
            under_way: AtomicI32::default(),
            closed: AtomicBool::default(),
        })
    }

    pub fn prefetched(&self) -> Vec<Span> {
        self.prefetched.lock().unwrap().clone()
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }
}

pub struct Opener(pub Arc<Behind>);

impl Plugin for Opener {
    fn thread_model(&self) -> ThreadModel {
        self.0.model
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let info = Info::read_only(SIZE).with(|info| info.cache = self.0.support);
        req.ready(BehindDisk { info, behind: self.0.clone() })
    }
}

struct BehindDisk {
    info: Info,
    behind: Arc<Behind>,
}

impl Disk for BehindDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        Op::ok(Buf::from((offset..offset + u64::from(len)).map(byte).collect::<Vec<_>>()).into())
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        Op::wait(async move {
            assert!(span.end() <= SIZE && span.len > 0);
            self.behind.prefetched.lock().unwrap().push(span);
            self.behind.under_way.fetch_add(1, SeqCst);
            drop(self.behind.source.lock().await);
            self.behind.under_way.fetch_sub(1, SeqCst);
            match self.behind.failing.load(SeqCst) {
                true => Err(Error::new(EIO, "no")),
                false => Ok(()),
            }
        })
    }

    fn close(&self) -> Op<'_, ()> {
        assert_eq!(self.behind.under_way.load(SeqCst), 0, "closed under a prefetch");
        self.behind.closed.store(true, SeqCst);
        Op::ok(())
    }
}
