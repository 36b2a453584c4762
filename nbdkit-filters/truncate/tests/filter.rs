// SPDX-License-Identifier: BSD-3-Clause
//! The disk has the size that was asked for: what is there stays, what is not reads as zeroes.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};
use nbdkit_truncate_filter::Truncate;
use std::sync::Mutex;

const REAL: u64 = 100_001;

/// What the disk behind holds at first.
fn byte(offset: u64) -> u8 {
    (offset % 251) as u8 + 1
}

/// A disk in memory that all clients share, and that bears no request beyond its end.
#[derive(Clone)]
struct Ram {
    info: Info,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Default for Ram {
    fn default() -> Ram {
        let info = Info::writable(REAL).with(|info| {
            (info.flush, info.trim, info.multi_conn, info.extents) = (true, true, true, true);
            (info.fua, info.cache, info.zero) = (Support::Native, Support::Native, Support::Native);
        });
        Ram { info, bytes: Arc::new(Mutex::new((0..REAL).map(byte).collect())) }
    }
}

impl Plugin for Ram {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let mut disk = (*self).clone();
        if req.read_only {
            disk.info.without_writing();
        }
        req.inline(disk)
    }
}

impl SyncDisk for Ram {
    fn info(&self) -> Result<Info> {
        Ok(self.info.clone())
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        buf.copy_from_slice(&self.bytes.lock().unwrap()[offset as usize..][..buf.len()]);
        Ok(())
    }

    fn pwrite(&self, data: &[u8], offset: u64, _: Flags) -> Result<()> {
        self.bytes.lock().unwrap()[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn trim(&self, span: Span, flags: Flags) -> Result<()> {
        self.zero(span, flags)
    }

    fn zero(&self, span: Span, _: Flags) -> Result<()> {
        self.bytes.lock().unwrap()[span.offset as usize..span.end() as usize].fill(0);
        Ok(())
    }

    fn cache(&self, span: Span) -> Result<()> {
        assert!(0 < span.len && span.end() <= REAL);
        Ok(())
    }

    /// Ends late: it speaks of all there is.
    fn extents(&self, span: Span, _: Flags) -> Result<Extents> {
        assert!(0 < span.len && span.end() <= REAL);
        Ok(Extents::data(REAL - span.offset))
    }
}

struct Chain {
    bench: Bench,
    disk: Arc<dyn Disk>,
}

impl Chain {
    fn open(ram: Ram, params: &[(&str, &str)]) -> Result<Chain> {
        let bench = Bench::default();
        let next = bench.filter::<Truncate>("truncate", params, Next::plugin("ram", Arc::new(ram)))?;
        Ok(Chain { disk: bench.open(&next)?, bench })
    }

    fn read(&self, len: u32, offset: u64) -> Vec<u8> {
        let read = async { self.disk.pread(len, offset).await?.into_buf(&Pool::new()).await };
        self.bench.run(read).unwrap().to_vec()
    }

    fn write(&self, bytes: Vec<u8>, offset: u64) -> Result<()> {
        self.bench.run(async { self.disk.pwrite(Buf::from(bytes), offset, Flags::default()).await })
    }

    fn extents(&self, span: Span) -> Vec<Extent> {
        self.bench
            .run(async { self.disk.extents(span, Flags::default()).await })
            .unwrap()
            .into_iter()
            .collect()
    }
}

fn kit(ram: Ram, params: &[(&str, &str)]) -> Kit {
    let bench = Bench::default();
    let next = bench.filter::<Truncate>("truncate", params, Next::plugin("ram", Arc::new(ram))).unwrap();
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
}

#[test]
fn sizes() {
    let size = |params: &[_]| Chain::open(Ram::default(), params).unwrap().disk.info().size;
    assert_eq!(size(&[]), REAL);
    assert_eq!(size(&[("truncate", "10")]), 10);
    assert_eq!(size(&[("truncate", "0")]), 0);
    assert_eq!(size(&[("truncate", "1M")]), 1 << 20);
    assert_eq!(size(&[("round-up", "512")]), 100_352);
    assert_eq!(size(&[("round-down", "512")]), 99_840);
    assert_eq!(size(&[("round-down", "4k"), ("round-up", "1k"), ("truncate", "5000")]), 4096);
    assert_eq!(size(&[("round-up", "4k"), ("truncate", "8192")]), 8192, "a multiple already");
    assert_eq!(size(&[("truncate", "9223372036854775807"), ("round-down", "2")]), i64::MAX as u64 - 1);
    assert_eq!(size(&[("round-down", "1M")]), 0);
}

#[test]
fn a_larger_disk_goes_on_with_zeroes() {
    let chain = Chain::open(Ram::default(), &[("truncate", "200000")]).unwrap();
    let mut want: Vec<u8> = (REAL - 5..REAL).map(byte).collect();
    want.extend([0; 5]);
    assert_eq!(chain.read(10, REAL - 5), want);
    assert_eq!(chain.read(9, 199_991), [0; 9]);
    assert_eq!(chain.read(1, REAL - 1), [byte(REAL - 1)]);
    assert_eq!(chain.read(1, REAL), [0]);
    let Op::Ready(Ok(data)) = chain.disk.pread(10, REAL - 5) else { panic!("should be ready") };
    assert!(matches!(data.runs(), [Run::Bytes(_), Run::Zero(5)]), "the zeroes are not copied: {data:?}");
}

#[test]
fn only_zeroes_fit_behind_the_end() {
    let ram = Ram::default();
    let chain = Chain::open(ram.clone(), &[("truncate", "200000")]).unwrap();
    chain.write([vec![7; 3], vec![0; 5000]].concat(), REAL - 3).unwrap();
    assert_eq!(chain.read(4, REAL - 4), [byte(REAL - 4), 7, 7, 7]);
    chain.write(vec![0; 10], REAL).unwrap();
    for (bytes, offset) in [([vec![9; 3], vec![0; 4999], vec![1]].concat(), REAL - 3), (vec![1], REAL)] {
        let error = chain.write(bytes, offset).unwrap_err();
        assert_eq!(error.errno(), ENOSPC);
        assert_eq!(
            error.to_string(),
            "write of data beyond the end of the disk behind (100001), where only zeroes fit"
        );
        assert_eq!(chain.read(4, REAL - 3), [7, 7, 7, 0], "nothing has changed");
    }
    let (flags, fast) = (Flags::default(), Flags { fast_zero: true, ..Flags::default() });
    chain.bench.run(async {
        chain.disk.zero(Span::new(REAL - 1, 2), flags).await.unwrap();
        chain.disk.trim(Span::new(REAL - 2, 100), flags).await.unwrap();
        chain.disk.cache(Span::new(REAL - 2, 100)).await.unwrap();
        chain.disk.cache(Span::new(REAL, 100)).await.unwrap();
        chain.disk.zero(Span::new(REAL, 100), fast).await.unwrap();
        let slow = chain.disk.zero(Span::new(REAL - 3, 100), fast).await.unwrap_err();
        assert_eq!(slow.errno(), EOPNOTSUPP, "the disk behind is not fast");
    });
    assert_eq!(ram.bytes.lock().unwrap()[REAL as usize - 3..], [7, 0, 0]);
    assert!(chain.disk.info().fast_zero);
}

#[test]
fn what_is_not_there_is_a_hole() {
    for holes in [true, false] {
        let mut ram = Ram::default();
        ram.info.extents = holes;
        let chain = Chain::open(ram.clone(), &[("truncate", "200000")]).unwrap();
        assert!(chain.disk.info().extents);
        let around = chain.extents(Span::new(REAL - 10, 110));
        assert_eq!(around, [Extent::data(10), Extent::hole(100)]);
        assert_eq!(chain.extents(Span::new(REAL, 99_999)), [Extent::hole(99_999)]);
        assert!(!chain.extents(Span::new(0, 5))[0].hole);

        let smaller = Chain::open(ram, &[("truncate", "1000")]).unwrap();
        assert_eq!(smaller.disk.info().extents, holes);
        let all: u64 = smaller.extents(Span::new(10, 5)).iter().map(|extent| extent.len).sum();
        assert!((5..=990).contains(&all), "{all} bytes");
    }
}

#[test]
fn keeps_the_promises_of_a_disk() {
    for (params, size) in [
        (&[("truncate", "60000")][..], 60_000),
        (&[("round-down", "4k")], 98_304),
        (&[("truncate", "0")], 0),
        (&[], REAL),
    ] {
        kit(Ram::default(), params).size(size).content(Content::Rule(byte)).run();
    }
    let grown = |offset| if offset < REAL { byte(offset) } else { 0 };
    for (params, size) in [(("truncate", "300000"), 300_000), (("round-up", "4k"), 102_400)] {
        let mut ram = Ram::default();
        ram.info.without_writing();
        kit(ram, &[params]).size(size).content(Content::Rule(grown)).run();
    }
}

#[test]
fn bad_parameters() {
    let refusal = |params: &[_]| match Chain::open(Ram::default(), params) {
        Ok(_) => panic!("{params:?} should be refused"),
        Err(error) => error.to_string(),
    };
    assert_eq!(refusal(&[("round-up", "3")]), "round-up: 3 must be a power of 2, such as 512 or 4k");
    assert_eq!(refusal(&[("round-down", "0")]), "round-down: 0 must be a power of 2, such as 512 or 4k");
    assert_eq!(refusal(&[("truncate", "-1")]), "truncate: size cannot be negative: -1");
    assert_eq!(
        refusal(&[("truncate", "9223372036854775807"), ("round-up", "2")]),
        "cannot round size 9223372036854775807 up to a multiple of 2: it would be above 9223372036854775807, the largest there is"
    );
}
