// SPDX-License-Identifier: BSD-3-Clause
//! What is the same may be written, what is not may not, and nothing ever changes.
#![allow(clippy::unwrap_used)]

use nbdkit_checkwrite_filter::Checkwrite;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit, Writes};
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

const SIZE: u64 = 4 << 20;
/// The hole in the disk behind, and zeroes that are not known to be zeroes.
const HOLE: std::ops::Range<u64> = 8192..(2 << 20);
const ZEROES: std::ops::Range<u64> = HOLE.end..HOLE.end + 4096;

/// What the disk behind holds.
fn byte(offset: u64) -> u8 {
    match offset {
        zero if HOLE.contains(&zero) || ZEROES.contains(&zero) => 0,
        _ => dense(offset),
    }
}

/// The same without zeroes.
fn dense(offset: u64) -> u8 {
    (offset % 251) as u8 + 1
}

/// A disk that nobody may write.
#[derive(Clone)]
struct Behind {
    content: fn(u64) -> u8,
    info: Info,
    /// How many bytes were read.
    read: Arc<AtomicU64>,
    /// Who was let in.
    opened: Arc<Mutex<Vec<bool>>>,
}

impl Plugin for Behind {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        self.opened.lock().unwrap().push(req.read_only);
        req.inline((*self).clone())
    }
}

impl SyncDisk for Behind {
    fn info(&self) -> Result<Info> {
        Ok(self.info.clone())
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.read.fetch_add(buf.len() as u64, SeqCst);
        buf.iter_mut().zip(offset..).for_each(|(to, offset)| *to = (self.content)(offset));
        Ok(())
    }

    /// One at a time.
    fn extents(&self, span: Span, _: Flags) -> Result<Extents> {
        Ok(match span.offset {
            at if at < HOLE.start => Extents::data(HOLE.start - at),
            at if at < HOLE.end => Extents::hole(HOLE.end - at),
            at => Extents::data(SIZE - at),
        })
    }
}

struct Chain {
    bench: Bench,
    next: Next,
    disk: Arc<dyn Disk>,
    behind: Behind,
}

impl Chain {
    fn new(content: fn(u64) -> u8, set: impl FnOnce(&mut Info)) -> Chain {
        let bench = Bench::default();
        let info = Info::read_only(SIZE).with(set);
        let behind = Behind { content, info, read: Arc::default(), opened: Arc::default() };
        let plugin = Next::plugin("behind", Arc::new(behind.clone()));
        let next = bench.filter::<Checkwrite>("checkwrite", &[], plugin).unwrap();
        Chain { disk: bench.open(&next).unwrap(), next, bench, behind }
    }

    fn write(&self, bytes: Vec<u8>, offset: u64) -> Result<()> {
        self.bench.run(async { self.disk.pwrite(Buf::from(bytes), offset, Flags::default()).await })
    }

    /// Zeroes and trims, which are the same; the errno or 0, and how many bytes were read for each.
    fn zero(&self, range: std::ops::Range<u64>, fast_zero: bool) -> (i32, u64) {
        let span = Span::new(range.start, range.end - range.start);
        let outcome = |op: Op<'_, ()>| {
            self.behind.read.store(0, SeqCst);
            let errno = self.bench.run(async { op.await }).map_or_else(|error| error.errno(), |()| 0);
            (errno, self.behind.read.load(SeqCst))
        };
        let zero = outcome(self.disk.zero(span, Flags { fast_zero, ..Flags::default() }));
        if !fast_zero {
            assert_eq!(outcome(self.disk.trim(span, Flags::default())), zero);
        }
        zero
    }
}

#[test]
fn writes_must_be_what_is_there() {
    let chain = Chain::new(byte, |info| info.extents = true);
    let there = |start: u64, len: u64| (start..start + len).map(byte).collect::<Vec<u8>>();
    for (start, len) in [(0, 1), (0, 10_000), (8000, 5000), (SIZE - 3, 3), (0, SIZE)] {
        chain.write(there(start, len), start).unwrap();
        for odd in [0, len / 2, len - 1] {
            let mut bytes = there(start, len);
            bytes[odd as usize] ^= 0x80;
            let at = start + odd;
            let error = chain.write(bytes, start).unwrap_err();
            assert_eq!(error.errno(), EIO);
            let (is, was) = (byte(at), byte(at) ^ 0x80);
            assert_eq!(
                error.to_string(),
                format!(
                    "data written does not match expected: at offset {at} is {is:#04x}, but {was:#04x} was written"
                )
            );
        }
    }
    chain.bench.run(async { chain.disk.flush().await }).unwrap();
}

#[test]
fn differences_are_shown_on_demand() {
    for (value, shown) in [("0", false), ("1", true)] {
        let bench = Bench::default();
        let behind = Behind {
            content: byte,
            info: Info::read_only(SIZE),
            read: Arc::default(),
            opened: Arc::default(),
        };
        let plugin = Next::plugin("behind", Arc::new(behind));
        let next = bench.filter::<Checkwrite>("checkwrite", &[("-D showdiffs", value)], plugin).unwrap();
        let disk = bench.open(&next).unwrap();
        let mut data: Vec<u8> = (16..48).map(byte).collect();
        data[20] = b'X';
        bench
            .run(async { disk.pwrite(Buf::from(data), 16, Flags::default()).await })
            .map_or_else(drop, |()| panic!("it differs"));
        let lines = bench.lines();
        let lines: Vec<_> = lines.iter().filter(|line| line.contains("00000020: ")).collect();
        assert_eq!(lines.len(), if shown { 2 } else { 0 }, "{lines:?}");
        assert!(!shown || lines[1].starts_with("checkwrite[1]: +00000020: 21 22 23 24 58 26"), "{lines:?}");
    }
}

#[test]
fn zeroes_must_be_there() {
    let chain = Chain::new(byte, |info| info.extents = true);
    assert_eq!(chain.zero(HOLE, false), (0, 0), "holes are not read");
    assert_eq!(chain.zero(HOLE, true), (0, 0));
    assert_eq!(chain.zero(HOLE.start + 1..HOLE.start + 2, true), (0, 0));
    assert_eq!(chain.zero(HOLE.end - 100..ZEROES.end, false), (0, 4096), "other zeroes are");
    assert_eq!(chain.zero(HOLE.end - 100..ZEROES.end, true), (EOPNOTSUPP, 0), "which is not fast");
    assert_eq!(chain.zero(HOLE.end - 100..ZEROES.end + 1, false), (EIO, 4097));
    assert_eq!(chain.zero(HOLE.start - 1..HOLE.end, false), (EIO, 1));
    assert_eq!(chain.zero(0..1, true), (EOPNOTSUPP, 0));
}

#[test]
fn zeroes_must_be_there_without_extents_too() {
    let chain = Chain::new(byte, |_| ());
    assert_eq!(chain.zero(HOLE, false), (0, HOLE.end - HOLE.start));
    assert_eq!(chain.zero(HOLE, true), (EOPNOTSUPP, 0));
    assert_eq!(chain.zero(HOLE.start..ZEROES.end + 1, false).0, EIO);
}

#[test]
fn whatever_the_disk_behind_can_do() {
    let chain = Chain::new(byte, |_| ());
    let info = chain.disk.info();
    assert!(info.write && info.flush && info.trim && info.fast_zero && info.multi_conn);
    assert_eq!([info.zero, info.fua], [Support::Native; 2]);
    let mut req = chain.bench.request(2, "");
    req.read_only = true;
    let reader = chain.bench.run(async { chain.next.open(req).await }).unwrap();
    assert!(!reader.info().write && !reader.info().zero.works());
    assert_eq!(*chain.behind.opened.lock().unwrap(), [true, true], "the disk behind is only read");
}

#[test]
fn keeps_the_promises_of_a_disk() {
    // A single random byte may be what is there.
    let sectors = BlockSize { minimum: 512, preferred: 4096, maximum: u32::MAX };
    let Chain { bench, next, .. } = Chain::new(dense, |info| info.block = Some(sectors));
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .content(Content::Rule(dense))
    .writes(Writes::Fail(EIO))
    .run();
}
