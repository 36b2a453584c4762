// SPDX-License-Identifier: BSD-3-Clause
//! Writes stay in the overlay, and nothing of them is lost, whoever else writes.
#![allow(clippy::unwrap_used)]

mod disk;
mod model;

use disk::{Behind, SIZE, byte};
use nbdkit_cow_filter::Cow;
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
        Chain { next: bench.filter::<Cow>("cow", params, plugin).unwrap(), bench, behind }
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
        self.bench
            .run(async { disk.pwrite(Buf::from(data.to_vec()), offset, Flags::default()).await })
            .unwrap();
    }

    fn zero(&self, disk: &dyn Disk, offset: u64, len: u64) {
        self.bench.run(async { disk.zero(Span::new(offset, len), TRIM).await }).unwrap();
    }

    fn extents(&self, disk: &dyn Disk, offset: u64, len: u64) -> Vec<Extent> {
        let answer = self.bench.run(async { disk.extents(Span::new(offset, len), Flags::default()).await });
        answer.unwrap().into_iter().collect()
    }
}

async fn read(disk: &dyn Disk, offset: u64, len: u32) -> Vec<u8> {
    disk.pread(len, offset).await.unwrap().into_buf(&Pool::new()).await.unwrap().to_vec()
}

fn untouched(offset: u64, len: u64) -> Vec<u8> {
    (offset..offset + len).map(byte).collect()
}

const TRIM: Flags = Flags { fua: false, may_trim: true, fast_zero: false, req_one: false };
const BLOCK: u64 = 65536;

#[test]
fn behaves_like_a_disk() {
    for (size, params) in [
        (SIZE, &[][..]),
        (SIZE, &[("cow-block-size", "4096")]),
        (SIZE, &[("cow-block-size", "2G"), ("cow-on-cache", "true")]),
        (SIZE - 777, &[("cow-on-read", "true"), ("cow-block-size", "8k")]),
    ] {
        let Chain { bench, next, behind } = Chain::over(Behind::new(size), params);
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
        behind.assert_never_written();
    }
}

#[test]
fn a_write_is_seen_by_all_clients_of_its_export_only() {
    let chain = Chain::new(&[]);
    let (one, two, other) = (chain.open(), chain.open(), chain.open_export("other"));
    chain.write(&*one, 70_000, b"changed");
    assert_eq!(chain.read(&*two, 69_999, 9), [&[byte(69_999)], &b"changed"[..], &[byte(70_007)]].concat());
    assert_eq!(chain.read(&*other, 69_999, 9), untouched(69_999, 9));
    drop((one, two));
    assert_eq!(chain.read(&*chain.open(), 70_000, 7), b"changed", "survives its clients");
    chain.behind.assert_never_written();
}

#[test]
fn what_is_offered() {
    let chain = Chain::new(&[("cow-block-size", "128k")]);
    let info = chain.open().info().clone();
    assert!(info.write && info.flush && info.trim && info.extents && info.multi_conn && !info.fast_zero);
    assert_eq!((info.zero, info.fua, info.cache), (Support::Native, Support::Native, Support::Native));
    assert_eq!(info.block, Some(BlockSize { minimum: 512, preferred: 128 << 10, maximum: 1 << 20 }));

    let mut req = chain.bench.request(1, "");
    req.read_only = true;
    let disk = chain.bench.run(async { chain.next.open(req).await }).unwrap();
    assert!(!disk.info().write && !disk.info().trim && disk.info().zero == Support::None);
    chain.write(&*chain.open(), 0, b"new");
    assert_eq!(chain.read(&*disk, 0, 3), b"new", "may look, though");
}

#[test]
fn untouched_parts_cost_no_box() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    chain.behind.answer_at_once();
    assert!(matches!(disk.pread(100, 5), Op::Ready(Ok(_))));
    assert!(matches!(disk.extents(Span::new(0, 100), Flags::default()), Op::Ready(Ok(_))));
    chain.write(&*disk, 0, &[1; 65536]);
    let Op::Ready(Ok(data)) = disk.pread(100, 5) else { panic!("the overlay knows it at once") };
    assert!(matches!(data.runs(), [Run::File(_)]), "and does not read it");
    assert!(matches!(disk.pwrite(Buf::from(vec![2; 100]), 5, Flags::default()), Op::Ready(Ok(()))));
}

#[test]
fn only_blocks_that_are_written_in_part_are_copied() {
    // The last block is shorter.
    let size = SIZE - BLOCK + 777;
    let chain = Chain::over(Behind::new(size), &[]);
    let disk = chain.open();
    chain.write(&*disk, BLOCK, &[1; 2 * BLOCK as usize]);
    chain.write(&*disk, size - 777, &[1; 777]);
    chain.zero(&*disk, 4 * BLOCK, BLOCK);
    chain.write(&*disk, 4 * BLOCK + 10, &[1; 10]);
    assert_eq!(chain.behind.reads(), []);
    chain.write(&*disk, 6 * BLOCK - 1, &[1; 2]);
    assert_eq!(chain.behind.reads(), [(5 * BLOCK, BLOCK), (6 * BLOCK, BLOCK)]);
    chain.write(&*disk, 6 * BLOCK - 9, &[1; 20]);
    chain.read(&*disk, 5 * BLOCK, 2 * BLOCK as u32);
    assert_eq!(chain.behind.reads(), [], "they are there now");
}

#[test]
fn zeroes_and_trims() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    chain.zero(&*disk, 100, 2 * BLOCK);
    let mut expected = untouched(0, 4 * BLOCK);
    expected[100..][..2 * BLOCK as usize].fill(0);
    assert!(chain.read(&*disk, 0, 4 * BLOCK as u32) == expected);
    let (hole, data) = (Extent::hole, Extent::data);
    // Blocks 0 and 2 were copied, 1 is only said to be zero. Files have holes in units of 4096 bytes.
    let extents = chain.extents(&*disk, 0, 4 * BLOCK);
    assert_eq!(extents, [data(4096), hole(2 * BLOCK - 4096), data(2 * BLOCK)]);

    chain.bench.run(async { disk.trim(Span::new(3 * BLOCK + 5, 10), Flags::default()).await }).unwrap();
    assert_eq!(chain.read(&*disk, 3 * BLOCK, 20), untouched(3 * BLOCK, 20), "too little to be worth a copy");
    chain.bench.run(async { disk.trim(Span::new(3 * BLOCK, BLOCK), Flags::default()).await }).unwrap();
    assert_eq!(chain.read(&*disk, 3 * BLOCK, 20), [0; 20]);

    let solid = Flags::default();
    chain.bench.run(async { disk.zero(Span::new(8 * BLOCK, BLOCK), solid).await }).unwrap();
    assert_eq!(chain.read(&*disk, 8 * BLOCK, 20), [0; 20]);
    assert_eq!(chain.extents(&*disk, 8 * BLOCK, BLOCK), [data(BLOCK)], "the client did not want a hole");
    chain.behind.assert_never_written();
}

#[test]
fn extents_come_from_both() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    // Behind: a hole in the last quarter, told as one extent that reaches to the end of the disk.
    let hole = SIZE / 4 * 3;
    assert_eq!(chain.extents(&*disk, hole - 10, 20), [Extent::data(10), Extent::hole(10)]);
    chain.write(&*disk, hole + 2 * BLOCK, &[1; BLOCK as usize]);
    let extents = chain.extents(&*disk, hole, SIZE - hole);
    let rest = SIZE - hole - 3 * BLOCK;
    assert_eq!(extents, [Extent::hole(2 * BLOCK), Extent::data(BLOCK), Extent::hole(rest)]);
    assert_eq!(chain.extents(&*disk, hole, 2 * BLOCK), [Extent::hole(2 * BLOCK)], "no further than is known");
    let one = Flags { req_one: true, ..Flags::default() };
    let first = chain.bench.run(async { disk.extents(Span::new(hole, SIZE - hole), one).await }).unwrap();
    assert_eq!(first.iter().next(), Some(&Extent::hole(2 * BLOCK)));
}

#[test]
fn cow_on_read_and_cow_on_cache_keep_what_they_see() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keep");
    let while_it_exists = Chain::new(&[("cow-on-read", file.to_str().unwrap())]);
    for (chain, kept) in [
        (Chain::new(&[]), false),
        (Chain::new(&[("cow-on-read", "true")]), true),
        (Chain::new(&[("cow-on-cache", "true")]), false),
    ] {
        let disk = chain.open();
        assert_eq!(chain.read(&*disk, 3 * BLOCK + 5, 10), untouched(3 * BLOCK + 5, 10));
        assert_eq!(chain.behind.reads().len(), 1);
        assert_eq!(chain.read(&*disk, 3 * BLOCK, 20), untouched(3 * BLOCK, 20));
        assert_eq!(chain.behind.reads().is_empty(), kept);
    }
    let disk = while_it_exists.open();
    for (exists, reads) in [(false, 1), (false, 1), (true, 1), (true, 0), (false, 0)] {
        match exists {
            true => std::fs::write(&file, "").unwrap(),
            false => drop(std::fs::remove_file(&file)),
        }
        assert_eq!(while_it_exists.read(&*disk, 0, 10), untouched(0, 10));
        assert_eq!(while_it_exists.behind.reads().len(), reads);
    }

    for (chain, caches, reads) in [(Chain::new(&[]), 1, 1), (Chain::new(&[("cow-on-cache", "yes")]), 0, 0)] {
        let disk = chain.open();
        chain.bench.run(async { disk.cache(Span::new(3 * BLOCK + 5, BLOCK)).await }).unwrap();
        chain.behind.reads();
        assert_eq!(chain.read(&*disk, 3 * BLOCK, 2 * BLOCK as u32), untouched(3 * BLOCK, 2 * BLOCK));
        assert_eq!((chain.behind.caches(), chain.behind.reads().len()), (caches, reads));
    }
}

#[test]
fn a_huge_disk_costs_no_more_than_what_is_changed() {
    let size = i64::MAX as u64;
    let chain = Chain::over(Behind::new(size), &[]);
    let disk = chain.open();
    chain.write(&*disk, size - 10, b"end");
    chain.zero(&*disk, 5, size - 20);
    assert_eq!(
        chain.read(&*disk, size - 16, 16),
        [&[0][..], &untouched(size - 15, 5), b"end", &untouched(size - 7, 7)].concat()
    );
    assert_eq!(chain.read(&*disk, size / 2, 3), [0; 3]);
    assert_eq!(chain.extents(&*disk, 1 << 20, size / 2), [Extent::hole(size / 2)]);
}

#[test]
fn errors_from_behind_leave_no_trace() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    chain.behind.fail(true);
    let write = chain.bench.run(async { disk.pwrite(Buf::from(vec![1; 10]), 5, Flags::default()).await });
    assert_eq!(write.unwrap_err().errno(), EIO);
    chain.behind.fail(false);
    assert_eq!(chain.read(&*disk, 0, 20), untouched(0, 20));
    chain.write(&*disk, 5, &[1; 10]);
    assert_eq!(chain.read(&*disk, 0, 6), [untouched(0, 5), vec![1]].concat());
}

#[test]
fn the_disk_behind_may_not_change_its_size() {
    let chain = Chain::new(&[]);
    let disk = chain.open();
    chain.behind.resize(SIZE + 512);
    let error = chain.bench.open(&chain.next).map(drop).unwrap_err();
    let expected = format!(
        "the disk behind has changed its size from {SIZE} to {} bytes, which its overlay cannot follow",
        SIZE + 512
    );
    assert_eq!(error.to_string(), expected);
    drop(disk);
    assert_eq!(chain.open().info().size, SIZE + 512, "nothing was written, so nothing is lost");
}

#[test]
fn bad_parameters() {
    let refusal = |key, value| {
        let bench = Bench::default();
        let plugin = Next::plugin("behind", Arc::new(disk::Opener(Behind::new(SIZE))));
        let Err(error) = bench.filter::<Cow>("cow", &[(key, value)], plugin) else { panic!("{key}={value}") };
        error.to_string()
    };
    for size in ["0", "2048", "4G", "5000"] {
        let text = refusal("cow-block-size", size);
        assert!(text.starts_with("cow-block-size: "), "{text}");
        assert!(text.ends_with(" is out of range (4096..2G) or not a power of 2"), "{text}");
    }
    assert_eq!(
        refusal("cow-on-read", "./file"),
        "cow-on-read: could not decipher boolean (./file), should be true or false, or the absolute path of a file"
    );
    assert!(refusal("cow-on-cache", "/file").starts_with("cow-on-cache: could not decipher boolean"));
}

#[test]
fn what_becomes_of_blocks_is_told_on_demand() {
    for (params, told) in [
        (&[][..], &[][..]),
        (
            &[("-D verbose", "1")],
            &[
                "cow[1]: written as a whole: 65536 bytes at offset 65536",
                "cow[1]: copied: 65536 bytes at offset 0",
                "cow[1]: zeroes: 131072 bytes at offset 131072",
            ],
        ),
    ] {
        let chain = Chain::new(params);
        let disk = chain.open();
        chain.write(&*disk, BLOCK, &[1; BLOCK as usize]);
        chain.write(&*disk, 1, &[1]);
        chain.write(&*disk, 2, &[1]);
        chain.zero(&*disk, 2 * BLOCK, 2 * BLOCK);
        assert_eq!(chain.bench.lines(), told);
    }
}
