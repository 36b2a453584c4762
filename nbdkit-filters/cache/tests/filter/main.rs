// SPDX-License-Identifier: BSD-3-Clause
//! The cache asks the disk behind as little as it can, keeps to its size, and loses nothing.
#![allow(clippy::unwrap_used)]

mod disk;
mod limits;
mod model;
mod modes;

use disk::{Behind, SIZE, byte};
use nbdkit_cache_filter::Cache;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};

/// The filter in front of a disk that tests look into.
struct Chain {
    bench: Bench,
    next: Next,
    behind: Arc<Behind>,
}

impl Chain {
    fn new(params: &[(&str, &str)]) -> Chain {
        Chain::over(Behind::new(SIZE), params)
    }

    fn over(behind: Arc<Behind>, params: &[(&str, &str)]) -> Chain {
        let bench = Bench::default();
        let plugin = Next::plugin("behind", Arc::new(disk::Opener(behind.clone())));
        Chain { next: bench.filter::<Cache>("cache", params, plugin).unwrap(), bench, behind }
    }

    fn open(&self) -> Arc<dyn Disk> {
        self.bench.open(&self.next).unwrap()
    }

    fn open_export(&self, name: &str) -> Arc<dyn Disk> {
        self.bench.run(async { self.next.open(self.bench.request(1, name)).await }).unwrap()
    }

    fn read(&self, disk: &dyn Disk, offset: u64, len: u32) -> Vec<u8> {
        self.bench.run(async { read(disk, offset, len).await })
    }

    fn write(&self, disk: &dyn Disk, offset: u64, data: &[u8]) {
        self.try_write(disk, offset, data, Flags::default()).unwrap();
    }

    fn try_write(&self, disk: &dyn Disk, offset: u64, data: &[u8], flags: Flags) -> Result<()> {
        self.bench.run(async { disk.pwrite(Buf::from(data.to_vec()), offset, flags).await })
    }

    fn cache(&self, disk: &dyn Disk, offset: u64, len: u64) -> Result<()> {
        self.bench.run(async { disk.cache(Span::new(offset, len)).await })
    }

    fn flush(&self, disk: &dyn Disk) -> Result<()> {
        self.bench.run(async { disk.flush().await })
    }

    fn close(&self, disk: Arc<dyn Disk>) -> Result<()> {
        self.bench.run(async { disk.close().await })
    }
}

async fn read(disk: &dyn Disk, offset: u64, len: u32) -> Vec<u8> {
    disk.pread(len, offset).await.unwrap().into_buf(&Pool::new()).await.unwrap().to_vec()
}

fn untouched(offset: u64, len: u64) -> Vec<u8> {
    (offset..offset + len).map(byte).collect()
}

const BLOCK: u64 = 65536;
const FUA: Flags = Flags { fua: true, may_trim: false, fast_zero: false, req_one: false };

#[test]
fn behaves_like_a_disk() {
    for (size, params) in [
        (SIZE, &[][..]),
        (SIZE - 777, &[("cache", "writethrough"), ("cache-on-read", "true")]),
        (SIZE - 777, &[("cache", "unsafe"), ("cache-min-block-size", "4k")]),
        (SIZE, &[("cache-max-size", "64k"), ("cache-on-read", "1")]),
        (SIZE - 5, &[("cache-max-size", "100k"), ("cache-min-block-size", "4k"), ("cache-on-read", "1")]),
        (SIZE - 5, &[("cache-min-block-size", "2G"), ("cache-on-read", "1")]),
    ] {
        let Chain { bench, next, .. } = Chain::over(Behind::new(size), params);
        let driver = bench.clone();
        Kit::disks(move |read_only, connection| {
            let mut req = bench.request(connection, "");
            req.read_only = read_only;
            bench.run(async { next.open(req).await })
        })
        .driver(move |task| driver.run(task))
        .size(size)
        .content(Content::Rule(byte))
        .run();
    }
}

#[test]
fn what_is_offered() {
    let info = Chain::new(&[]).open().info().clone();
    assert!(info.write && info.flush && info.trim && info.extents && info.multi_conn && info.fast_zero);
    assert_eq!((info.zero, info.fua, info.cache), (Support::Emulated, Support::Native, Support::Native));
    assert_eq!(info.block, Some(BlockSize { minimum: 1, preferred: 65536, maximum: 1 << 20 }));
    assert!(!Chain::new(&[("cache", "writethrough")]).open().info().multi_conn, "what the disk behind says");
    assert!(Chain::new(&[("cache", "unsafe")]).open().info().multi_conn);

    let behind = Behind::new(SIZE);
    (behind.info.lock().unwrap().flush, behind.info.lock().unwrap().fua) = (false, Support::None);
    let chain = Chain::over(behind.clone(), &[]);
    let disk = chain.open();
    assert!(disk.info().flush && disk.info().fua == Support::None);
    chain.write(&*disk, 0, &[1; BLOCK as usize]);
    chain.flush(&*disk).unwrap();
    assert_eq!(behind.diary(), ["write 65536@0"], "the disk behind has no flush");

    let mut req = chain.bench.request(1, "");
    req.read_only = true;
    let disk = chain.bench.run(async { chain.next.open(req).await }).unwrap();
    assert!(!disk.info().write && !disk.info().trim && disk.info().zero == Support::None);
    assert_eq!(disk.info().cache, Support::Native);
}

#[test]
fn keeps_what_is_to_be_cached_and_what_is_read_if_that_is_wanted() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    assert_eq!(chain.read(&*disk, BLOCK + 5, 10), untouched(BLOCK + 5, 10));
    assert_eq!(chain.read(&*disk, BLOCK + 5, 10), untouched(BLOCK + 5, 10));
    assert_eq!(chain.behind.diary(), ["read 10@65541", "read 10@65541"], "no more than asked, every time");
    chain.cache(&*disk, BLOCK + 5, 2 * BLOCK).unwrap();
    assert_eq!(chain.behind.diary(), ["read 196608@65536"], "three blocks at once");
    chain.cache(&*disk, BLOCK, 4 * BLOCK).unwrap();
    assert_eq!(chain.behind.diary(), ["read 65536@262144"], "what is missing");
    assert_eq!(chain.read(&*disk, 0, 3 * BLOCK as u32), untouched(0, 3 * BLOCK));
    assert_eq!(chain.behind.diary(), ["read 65536@0"], "what is missing");

    let chain = Chain::new(&[("cache-on-read", "true")]);
    let (one, two) = (chain.open(), chain.open());
    assert_eq!(chain.read(&*one, BLOCK - 5, 10), untouched(BLOCK - 5, 10));
    assert_eq!(chain.behind.diary(), ["read 131072@0"]);
    assert_eq!(chain.read(&*two, 0, 2 * BLOCK as u32), untouched(0, 2 * BLOCK), "all clients share it");
    chain.close(one).unwrap();
    chain.close(two).unwrap();
    assert_eq!(chain.read(&*chain.open(), 5, 10), untouched(5, 10), "and it outlives them");
    assert!(chain.behind.diary().is_empty());
    assert_eq!(chain.read(&*chain.open_export("other"), 5, 10), untouched(5, 10));
    assert_eq!(chain.behind.diary(), ["read 65536@0"], "another export is another disk");
}

#[test]
fn cache_on_read_follows_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keep");
    let chain = Chain::new(&[("cache-on-read", file.to_str().unwrap())]);
    let disk = chain.open();
    for (exists, reads) in [(false, 1), (false, 1), (true, 1), (true, 0), (false, 0)] {
        match exists {
            true => std::fs::write(&file, "").unwrap(),
            false => drop(std::fs::remove_file(&file)),
        }
        assert_eq!(chain.read(&*disk, 0, 10), untouched(0, 10));
        assert_eq!(chain.behind.diary().len(), reads);
    }
}

#[test]
fn two_who_want_the_same_fetch_it_once() {
    let chain = Chain::new(&[("cache-on-read", "true")]);
    let (one, two) = (chain.open(), chain.open());
    chain.bench.run(async {
        let cached = async { one.cache(Span::new(0, 4 * BLOCK)).await.unwrap() };
        let found = futures_lite::future::zip(cached, read(&*two, BLOCK, BLOCK as u32)).await.1;
        assert_eq!(found, untouched(BLOCK, BLOCK));
    });
    assert_eq!(chain.behind.diary(), ["read 262144@0"]);
}

#[test]
fn errors_from_behind_reach_the_client_and_are_not_kept() {
    let chain = Chain::new(&[("cache-on-read", "true")]);
    let disk = chain.open();
    chain.behind.fail(true, false);
    let answer = chain.bench.run(async { disk.pread(10, 0).await });
    assert_eq!(answer.unwrap_err().errno(), EIO);
    assert_eq!(chain.cache(&*disk, 0, 10).unwrap_err().errno(), EIO);
    assert_eq!(chain.try_write(&*disk, 5, b"x", Flags::default()).unwrap_err().errno(), EIO);
    chain.behind.fail(false, false);
    assert_eq!(chain.read(&*disk, 0, 10), untouched(0, 10));
}

#[test]
fn the_disk_behind_may_change_its_size_when_nobody_looks() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    chain.cache(&*disk, 0, BLOCK).unwrap();
    chain.behind.info.lock().unwrap().size = SIZE - 512;
    let error = chain.bench.open(&chain.next).map(drop).unwrap_err();
    let expected = format!(
        "the disk behind has changed its size from {SIZE} to {} bytes, which its cache cannot follow",
        SIZE - 512
    );
    assert_eq!(error.to_string(), expected);
    chain.close(disk).unwrap();
    let disk = chain.open();
    assert_eq!(disk.info().size, SIZE - 512);
    chain.behind.diary();
    chain.read(&*disk, 0, 10);
    assert_eq!(chain.behind.diary(), ["read 10@0"], "what was cached is forgotten");
}

#[test]
fn what_becomes_of_blocks_is_told_on_demand() {
    for (params, told) in [
        (&[][..], &[][..]),
        (
            &[("-D verbose", "1"), ("cache-max-size", "128k"), ("cache-high-threshold", "100")],
            &[
                "cache[1]: read from the disk behind: 10 bytes at offset 5",
                "cache[1]: fetched: 65536 bytes at offset 65536",
                "cache[1]: read from the cache: 10 bytes at offset 65541",
                "cache[1]: written to the cache: 65536 bytes at offset 0",
                "cache[1]: read from the cache: 65536 bytes at offset 0",
                "cache[1]: written back: 65536 bytes at offset 0",
                "cache[1]: written through: 1 bytes at offset 0",
                "cache[1]: reclaimed: 65536 bytes at offset 65536",
                "cache[1]: reclaimed: 65536 bytes at offset 0",
                "cache[1]: fetched: 65536 bytes at offset 131072",
            ],
        ),
    ] {
        let chain = Chain::new(params);
        let disk = chain.open();
        chain.read(&*disk, 5, 10);
        chain.cache(&*disk, BLOCK, 1).unwrap();
        chain.read(&*disk, BLOCK + 5, 10);
        chain.write(&*disk, 0, &[1; BLOCK as usize]);
        chain.flush(&*disk).unwrap();
        chain.try_write(&*disk, 0, &[1], FUA).unwrap();
        chain.cache(&*disk, 2 * BLOCK, 1).unwrap();
        assert_eq!(chain.bench.lines(), told);
    }
}

#[test]
fn bad_parameters() {
    let refusal = |params: &[(&str, &str)]| {
        let bench = Bench::default();
        let plugin = Next::plugin("behind", Arc::new(disk::Opener(Behind::new(SIZE))));
        let Err(error) = bench.filter::<Cache>("cache", params, plugin) else { panic!("{params:?}") };
        error.to_string()
    };
    for size in ["0", "2048", "4G", "5000"] {
        let text = refusal(&[("cache-min-block-size", size)]);
        assert!(text.contains("is not a power of 2, or is too small or too large"), "{text}");
    }
    assert_eq!(
        refusal(&[("cache", "writearound")]),
        "cache: invalid cache parameter, should be writeback|writethrough|unsafe, not 'writearound'"
    );
    let size = ("cache-max-size", "1M");
    assert_eq!(
        refusal(&[size, ("cache-high-threshold", "0")]),
        "cache-high-threshold must be greater than zero"
    );
    assert_eq!(
        refusal(&[size, ("cache-low-threshold", "0")]),
        "cache-low-threshold must be greater than zero"
    );
    let text = refusal(&[size, ("cache-low-threshold", "95")]);
    assert_eq!(text, "cache-low-threshold must be less than cache-high-threshold: 95 is not less than 95");
    let text = refusal(&[("cache-max-size", "65535")]);
    assert_eq!(
        text,
        "cache-max-size is too small: 65535 bytes, should be at least 65536, the size of a block"
    );
    assert!(refusal(&[("cache-on-read", "./file")]).contains("absolute path"));

    let behind = Behind::new(SIZE);
    behind.info.lock().unwrap().block =
        Some(BlockSize { minimum: 65536, preferred: 65536, maximum: 1 << 20 });
    let chain = Chain::over(behind, &[("cache-min-block-size", "4k")]);
    assert_eq!(
        chain.bench.open(&chain.next).map(drop).unwrap_err().to_string(),
        "blocks of 4096 bytes are smaller than the disk behind allows, should be cache-min-block-size=65536"
    );
}
