// SPDX-License-Identifier: BSD-3-Clause
//! The disk behind: it takes its time, writes down what it was asked, and fails when told to.

use futures_lite::future::yield_now;
use nbdkit_filter::*;
use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

pub const SIZE: u64 = 2 << 20;

/// What the disk holds at first. The last quarter of a disk of SIZE is a hole.
pub fn byte(offset: u64) -> u8 {
    match (SIZE / 4 * 3..SIZE).contains(&offset) {
        true => 0,
        false => (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 | 1,
    }
}

/// What it was asked for: `read 65536@0`.
pub struct Behind {
    pub info: Mutex<Info>,
    bytes: Mutex<Vec<u8>>,
    diary: Mutex<Vec<String>>,
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
}

impl Behind {
    pub fn new(size: u64) -> Arc<Behind> {
        let info = Info::writable(size).with(|info| {
            info.block = Some(BlockSize { minimum: 1, preferred: 512, maximum: 1 << 20 });
            (info.flush, info.trim, info.extents) = (true, true, true);
            info.fua = Support::Native;
        });
        Arc::new(Behind {
            info: Mutex::new(info),
            bytes: Mutex::new((0..size).map(byte).collect()),
            diary: Mutex::default(),
            reads_fail: AtomicBool::default(),
            writes_fail: AtomicBool::default(),
        })
    }

    /// What it was asked for since it was asked that last.
    pub fn diary(&self) -> Vec<String> {
        std::mem::take(&mut self.diary.lock().unwrap())
    }

    pub fn count(&self, what: &str) -> usize {
        self.diary.lock().unwrap().iter().filter(|line| line.starts_with(what)).count()
    }

    pub fn bytes(&self, offset: u64, len: u64) -> Vec<u8> {
        self.bytes.lock().unwrap()[offset as usize..(offset + len) as usize].to_vec()
    }

    pub fn fail(&self, reads: bool, writes: bool) {
        self.reads_fail.store(reads, SeqCst);
        self.writes_fail.store(writes, SeqCst);
    }

    fn note(&self, line: String) {
        self.diary.lock().unwrap().push(line);
    }

    async fn change(&self, what: &str, span: Span, flags: Flags, bytes: Option<Buf>) -> Result<()> {
        let fua = if flags.fua { " fua" } else { "" };
        self.note(format!("{what} {}@{}{fua}", span.len, span.offset));
        yield_now().await;
        if self.writes_fail.load(SeqCst) {
            return Err(Error::new(ENOSPC, "full"));
        }
        {
            let mut all = self.bytes.lock().unwrap();
            let to = &mut all[span.offset as usize..span.end() as usize];
            match bytes {
                Some(bytes) => to.copy_from_slice(&bytes),
                None => to.fill(0),
            }
        }
        yield_now().await;
        Ok(())
    }
}

pub struct Opener(pub Arc<Behind>);

impl Plugin for Opener {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let mut info = self.0.info.lock().unwrap().clone();
        if req.read_only {
            info.without_writing();
        }
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
        assert!(offset + u64::from(len) <= self.info.size && len <= 1 << 20, "{len} at {offset}");
        Op::wait(async move {
            self.behind.note(format!("read {len}@{offset}"));
            yield_now().await;
            let data = self.behind.bytes(offset, len.into());
            yield_now().await;
            match self.behind.reads_fail.load(SeqCst) {
                true => Err(Error::new(EIO, "bad sector")),
                false => Ok(Buf::from(data).into()),
            }
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        assert!(self.info.write && data.len() <= 1 << 20);
        Op::wait(self.behind.change("write", Span::new(offset, data.len() as u64), flags, Some(data)))
    }

    fn flush(&self) -> Op<'_, ()> {
        self.behind.note("flush".into());
        Op::ok(())
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        assert!(self.info.write);
        Op::wait(self.behind.change("trim", span, flags, None))
    }

    fn extents(&self, span: Span, _: Flags) -> Op<'_, Extents> {
        let bytes = self.behind.bytes(span.offset, self.info.size - span.offset);
        let extent = |bytes: &[u8]| match bytes.iter().all(|byte| *byte == 0) {
            true => Extent::hole(bytes.len() as u64),
            false => Extent::data(bytes.len() as u64),
        };
        Op::ok(bytes.chunks(512).map(extent).collect())
    }
}
