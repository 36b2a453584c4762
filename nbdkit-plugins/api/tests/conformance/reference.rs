// SPDX-License-Identifier: BSD-3-Clause
//! A disk that does everything right, unless it is told to do one thing wrong.

use nbdkit_plugin::*;
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
};

pub const PAGE: u64 = 4096;

/// What may be wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    None,
    ReadsTooLittle,
    ReadsLastByteAsZero,
    ReadsAreLostBehindFourGigabytes,
    ReadsFailAtOddOffsets,
    ReadsPanic,
    ReadsHang,
    WritesOneByteTooMany,
    WritesTheFirstPageOnly,
    WritesBeforeItIsPolled,
    WritesWholePagesBack,
    WritesOnlyForThisConnection,
    FlushFails,
    FuaFails,
    ZeroDoesNothing,
    ZeroIsShort,
    ZeroIsShortWhenFast,
    ZeroForgetsPages,
    FastZeroFailsOtherwise,
    TrimLeavesRubbish,
    TrimReachesTooFar,
    CacheFails,
    ExtentsAreNone,
    ExtentsAreAllHoles,
    ExtentsAreAllData,
    ExtentsBeginAtThePage,
    InfoChanges,
    CloseFails,
    CloseLosesWrites,
}

/// What all opens share.
#[derive(Default)]
pub struct Image {
    pages: Mutex<BTreeMap<u64, [u8; PAGE as usize]>>,
}

impl Image {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, [u8; PAGE as usize]>> {
        self.pages.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn read(&self, span: Span) -> Vec<u8> {
        let pages = self.lock();
        let part = |part: Span| match pages.get(&(part.offset / PAGE)) {
            Some(page) => page[(part.offset % PAGE) as usize..][..part.len as usize].to_vec(),
            None => vec![0; part.len as usize],
        };
        parts(span).flat_map(part).collect()
    }

    pub fn write(&self, offset: u64, bytes: &[u8]) {
        let mut pages = self.lock();
        for part in parts(Span::new(offset, bytes.len() as u64)) {
            let page = pages.entry(part.offset / PAGE).or_insert([0; PAGE as usize]);
            page[(part.offset % PAGE) as usize..][..part.len as usize]
                .copy_from_slice(&bytes[(part.offset - offset) as usize..][..part.len as usize]);
        }
    }

    /// Whole pages are given back.
    pub fn zero(&self, span: Span) {
        let mut pages = self.lock();
        for part in parts(span) {
            if part.len == PAGE {
                pages.remove(&(part.offset / PAGE));
            } else if let Some(page) = pages.get_mut(&(part.offset / PAGE)) {
                page[(part.offset % PAGE) as usize..][..part.len as usize].fill(0);
            }
        }
    }

    fn extents(&self, span: Span) -> Extents {
        let pages = self.lock();
        let extent = |part: Span| match pages.contains_key(&(part.offset / PAGE)) {
            true => Extent::data(part.len),
            false => Extent::hole(part.len),
        };
        parts(span).map(extent).collect()
    }
}

/// `span`, cut at the borders of pages.
fn parts(span: Span) -> impl Iterator<Item = Span> {
    (span.offset / PAGE..span.end().div_ceil(PAGE)).map(move |number| {
        let (start, end) = (span.offset.max(number * PAGE), span.end().min((number + 1) * PAGE));
        Span::new(start, end - start)
    })
}

/// One open of an [`Image`].
pub struct Reference {
    pub image: Arc<Image>,
    pub fault: Fault,
    pub info: Info,
    /// For [`Fault::InfoChanges`].
    other: Info,
    written: AtomicBool,
}

impl Reference {
    pub fn new(image: Arc<Image>, fault: Fault, info: Info) -> Reference {
        let image = match fault {
            Fault::WritesOnlyForThisConnection => Arc::default(),
            _ => image,
        };
        let other = info.with(|info| info.size ^= 1);
        Reference { image, fault, info, other, written: AtomicBool::new(false) }
    }

    /// Everything, natively.
    pub fn info(size: u64) -> Info {
        Info::writable(size).with(|info| {
            (info.flush, info.trim, info.fast_zero, info.extents, info.multi_conn) =
                (true, true, true, true, true);
            (info.zero, info.fua, info.cache) = (Support::Native, Support::Native, Support::Native);
        })
    }

    fn fail_if(&self, fault: Fault) -> Op<'_, ()> {
        match self.fault == fault {
            true => Op::err(Error::new(EIO, "broken on purpose")),
            false => Op::ok(()),
        }
    }
}

/// Lets others go first, once.
async fn pause() {
    let mut first = true;
    poll_fn(|cx| match std::mem::replace(&mut first, false) {
        true => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
    .await;
}

impl Disk for Reference {
    fn info(&self) -> &Info {
        match self.fault == Fault::InfoChanges && self.written.load(SeqCst) {
            true => &self.other,
            false => &self.info,
        }
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let span = Span::new(offset, len.into());
        let mut bytes = self.image.read(span);
        match self.fault {
            Fault::ReadsTooLittle => bytes.truncate(bytes.len() - 1),
            Fault::ReadsLastByteAsZero if span.end() == self.info.size => bytes[len as usize - 1] = 0,
            Fault::ReadsAreLostBehindFourGigabytes => {
                bytes = self.image.read(Span::new(u64::from(offset as u32), len.into()));
            }
            Fault::ReadsFailAtOddOffsets if offset % 2 == 1 => return Op::err(Error::new(EIO, "odd")),
            Fault::ReadsPanic if len == 3 => panic!("three"),
            Fault::ReadsHang if len == 3 => return Op::wait(std::future::pending()),
            _ => {}
        }
        Op::ok(Buf::from(bytes).into())
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.written.store(true, SeqCst);
        let len = data.len() as u64;
        match self.fault {
            Fault::FuaFails if flags.fua => return Op::err(Error::new(EIO, "fua")),
            Fault::WritesOneByteTooMany if offset + len < self.info.size => {
                self.image.write(offset, &[&data[..], &[0]].concat());
            }
            Fault::WritesTheFirstPageOnly => {
                self.image.write(offset, &data[..len.min(PAGE - offset % PAGE) as usize]);
            }
            Fault::WritesBeforeItIsPolled => {
                self.image.write(offset, &data);
                return Op::wait(async { Ok(()) });
            }
            Fault::WritesWholePagesBack => {
                return Op::wait(async move {
                    let start = offset / PAGE * PAGE;
                    let end = (offset + len).div_ceil(PAGE) * PAGE;
                    let mut pages = self.image.read(Span::new(start, end - start));
                    pause().await;
                    pages[(offset - start) as usize..][..len as usize].copy_from_slice(&data);
                    self.image.write(start, &pages);
                    Ok(())
                });
            }
            _ => self.image.write(offset, &data),
        }
        Op::ok(())
    }

    fn flush(&self) -> Op<'_, ()> {
        self.fail_if(Fault::FlushFails)
    }

    fn trim(&self, span: Span, _: Flags) -> Op<'_, ()> {
        match self.fault {
            Fault::TrimLeavesRubbish => self.image.write(span.offset, &[0xff]),
            Fault::TrimReachesTooFar if span.end() < self.info.size => {
                self.image.zero(Span::new(span.offset, span.len + 1));
            }
            _ => self.image.zero(span),
        }
        Op::ok(())
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        let short = Span::new(span.offset, span.len - 1);
        match self.fault {
            Fault::ZeroDoesNothing => {}
            Fault::ZeroIsShort if short.len > 0 => self.image.zero(short),
            Fault::ZeroIsShortWhenFast if flags.fast_zero && short.len > 0 => self.image.zero(short),
            Fault::ZeroForgetsPages => self.image.write(span.offset, &vec![0; span.len as usize]),
            Fault::FastZeroFailsOtherwise if flags.fast_zero => return Op::err(Error::new(EIO, "fast")),
            _ => self.image.zero(span),
        }
        Op::ok(())
    }

    fn cache(&self, _: Span) -> Op<'_, ()> {
        self.fail_if(Fault::CacheFails)
    }

    fn extents(&self, span: Span, _: Flags) -> Op<'_, Extents> {
        Op::ok(match self.fault {
            Fault::ExtentsAreNone => Extents::new(),
            Fault::ExtentsAreAllHoles => Extents::hole(span.len),
            Fault::ExtentsAreAllData => Extents::data(span.len),
            Fault::ExtentsBeginAtThePage => {
                let start = span.offset / PAGE * PAGE;
                self.image.extents(Span::new(start, span.end() - start))
            }
            _ => self.image.extents(span),
        })
    }

    fn close(&self) -> Op<'_, ()> {
        if self.fault == Fault::CloseLosesWrites {
            self.image.lock().clear();
        }
        self.fail_if(Fault::CloseFails)
    }
}
