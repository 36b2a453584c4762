// SPDX-License-Identifier: BSD-3-Clause
//! Clients are told the block sizes, and what breaks them is passed on or refused, as the policy says.
#![allow(clippy::unwrap_used)]

use nbdkit_blocksize_policy_filter::BlocksizePolicy;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::Kit;
use std::sync::Mutex;

/// Not a multiple of 512.
const SIZE: u64 = 100_000;
const NONE: Flags = Flags { fua: false, may_trim: false, fast_zero: false, req_one: false };

/// A disk in memory that tells of extents of odd sizes.
#[derive(Default)]
struct Ram(Arc<Mutex<Vec<u8>>>);

impl Plugin for Ram {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        self.0.lock().unwrap().resize(SIZE as usize, 0);
        req.inline(RamDisk { bytes: self.0.clone(), read_only: req.read_only })
    }
}

struct RamDisk {
    bytes: Arc<Mutex<Vec<u8>>>,
    read_only: bool,
}

impl RamDisk {
    fn change<T>(&self, span: Span, change: impl FnOnce(&mut [u8]) -> T) -> Result<T> {
        Ok(change(&mut self.bytes.lock().unwrap()[span.offset as usize..span.end() as usize]))
    }
}

impl SyncDisk for RamDisk {
    fn info(&self) -> Result<Info> {
        Ok(Info::writable(SIZE).with(|info| {
            (info.flush, info.trim, info.multi_conn, info.extents) = (true, true, true, true);
            (info.fua, info.cache, info.zero) = (Support::Native, Support::Native, Support::Native);
            if self.read_only {
                info.without_writing();
            }
        }))
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.change(Span::new(offset, buf.len() as u64), |bytes| buf.copy_from_slice(bytes))
    }

    fn pwrite(&self, data: &[u8], offset: u64, _: Flags) -> Result<()> {
        self.change(Span::new(offset, data.len() as u64), |bytes| bytes.copy_from_slice(data))
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn trim(&self, span: Span, _: Flags) -> Result<()> {
        self.change(span, |bytes| bytes.fill(0))
    }

    fn zero(&self, span: Span, _: Flags) -> Result<()> {
        self.change(span, |bytes| bytes.fill(0))
    }

    fn cache(&self, _: Span) -> Result<()> {
        Ok(())
    }

    fn extents(&self, span: Span, flags: Flags) -> Result<Extents> {
        let of = |byte: &u8| Extent { len: 1, hole: *byte == 0, zero: *byte == 0 };
        let all: Extents = self.change(span, |bytes| bytes.iter().map(of).collect())?;
        Ok(if flags.req_one { all.into_iter().take(1).collect() } else { all })
    }
}

struct Chain {
    bench: Bench,
    next: Next,
}

impl Chain {
    fn new(params: &[(&str, &str)]) -> Chain {
        let bench = Bench::default();
        let ram = bench.plugin::<Ram>("ram", &[]).unwrap();
        Chain { next: bench.filter::<BlocksizePolicy>("blocksize-policy", params, ram).unwrap(), bench }
    }

    fn open(&self) -> Arc<dyn Disk> {
        self.bench.open(&self.next).unwrap()
    }
}

/// What is said about a request, which is answered at once in any case.
fn refusal<T>(op: Op<'_, T>) -> Option<String> {
    match op {
        Op::Ready(Ok(_)) => None,
        Op::Ready(Err(error)) => {
            assert_eq!(error.errno(), EINVAL, "{error}");
            Some(error.to_string())
        }
        Op::Wait(_) => panic!("there is nothing to wait for"),
    }
}

const SIZES: [(&str, &str); 3] =
    [("blocksize-minimum", "512"), ("blocksize-preferred", "4k"), ("blocksize-maximum", "8k")];

fn with(policy: &'static str) -> Arc<dyn Disk> {
    let mut params = SIZES.to_vec();
    params.push(("blocksize-error-policy", policy));
    Chain::new(&params).open()
}

#[test]
fn clients_are_told() {
    assert_eq!(Chain::new(&[]).open().info().block, None);
    for params in [SIZES.to_vec(), [&SIZES[..], &[("blocksize-error-policy", "error")]].concat()] {
        let block = Chain::new(&params).open().info().block;
        assert_eq!(block, Some(BlockSize { minimum: 512, preferred: 4096, maximum: 8192 }));
    }
    let odd = Chain::new(&[("blocksize-maximum", "1000")]);
    let Err(error) = odd.bench.open(&odd.next) else { panic!("opened") };
    assert!(error.to_string().starts_with("computed block size values are invalid: "), "{error}");
}

#[test]
fn allow_is_the_default_and_refuses_nothing() {
    for disk in [Chain::new(&SIZES).open(), with("allow")] {
        assert_eq!(refusal(disk.pread(1, 7)), None);
        assert_eq!(refusal(disk.pwrite(Buf::from(vec![1; 10_000]), 3, NONE)), None);
        assert_eq!(refusal(disk.zero(Span::new(1, 1), NONE)), None);
        assert_eq!(refusal(disk.extents(Span::new(1, 1), NONE)), None);
    }
}

#[test]
fn every_operation_is_policed() {
    for disk in [with("error"), with("strict-error")] {
        let small = Span::new(0, 1);
        for (name, refusal) in [
            ("pread", refusal(disk.pread(1, 0))),
            ("pwrite", refusal(disk.pwrite(Buf::from(vec![1]), 0, NONE))),
            ("zero", refusal(disk.zero(small, NONE))),
            ("trim", refusal(disk.trim(small, NONE))),
            ("cache", refusal(disk.cache(small))),
            ("extents", refusal(disk.extents(small, NONE))),
        ] {
            let text = format!("client {name} request rejected: count 1 is smaller than minimum size 512");
            assert_eq!(refusal, Some(text));
        }
        assert_eq!(refusal(disk.flush()), None);
        assert_eq!(
            refusal(disk.pread(8704, 0)).unwrap(),
            "client pread request rejected: count 8704 is larger than maximum size 8192"
        );
        assert_eq!(
            refusal(disk.pread(1000, 0)).unwrap(),
            "client pread request rejected: count 1000 is not a multiple of minimum size 512"
        );
        assert_eq!(
            refusal(disk.pread(1024, 1000)).unwrap(),
            "client pread request rejected: offset 1000 is not aligned to a multiple of minimum size 512"
        );
        // Only data has a maximum.
        assert_eq!(refusal(disk.pread(8192, 512)), None);
        assert_eq!(refusal(disk.zero(Span::new(512, 81920), NONE)), None);
    }
    // Without sizes there is nothing to break.
    assert_eq!(refusal(Chain::new(&[("blocksize-error-policy", "error")]).open().pread(1, 1)), None);
}

#[test]
fn the_end_of_the_disk_is_excused_unless_the_policy_is_strict() {
    let (at, tail) = (SIZE / 512 * 512, (SIZE % 512) as u32);
    for (disk, excused) in [(with("error"), true), (with("strict-error"), false)] {
        assert_eq!(refusal(disk.pread(tail, at)).is_none(), excused);
        assert_eq!(refusal(disk.pread(tail + 512, at - 512)).is_none(), excused);
        assert_eq!(refusal(disk.zero(Span::new(at, tail.into()), NONE)).is_none(), excused);
        // It must begin at a block, end with the disk, and not be too long.
        assert!(refusal(disk.pread(tail - 1, at + 1)).is_some());
        assert!(refusal(disk.pread(tail - 1, at)).is_some());
        assert!(refusal(disk.pread(tail + 8192, at - 8192)).is_some());
    }
}

#[test]
fn who_writes_too_much_is_sent_away() {
    let chain = Chain::new(&[("blocksize-write-disconnect", "4k")]);
    let req = chain.bench.request(1, "");
    let connection = req.connection.clone();
    let disk = chain.bench.run(async { chain.next.open(req).await }).unwrap();
    assert_eq!(refusal(disk.pwrite(Buf::from(vec![1; 4096]), 0, NONE)), None);
    assert_eq!(refusal(disk.zero(Span::new(0, 8192), NONE)), None);
    assert!(!connection.is_gone());
    let Op::Ready(Err(error)) = disk.pwrite(Buf::from(vec![1; 4097]), 0, NONE) else { panic!("written") };
    assert_eq!(error.errno(), ESHUTDOWN);
    assert_eq!(
        error.to_string(),
        "client pwrite request of 4097 bytes is larger than blocksize-write-disconnect=4096"
    );
    assert!(connection.is_gone());
    let line = "blocksize-policy[1]: error: disconnecting client due to oversize write request";
    assert_eq!(chain.bench.lines(), [line]);
}

#[test]
fn extents_are_made_of_blocks() {
    let disk = with("allow");
    for (at, len) in [(600, 1), (1024, 512), (2000, 1000), (99_990, 10)] {
        assert_eq!(refusal(disk.pwrite(Buf::from(vec![1; len]), at, NONE)), None);
    }
    let extents = |offset, len, flags| match disk.extents(Span::new(offset, len), flags) {
        Op::Ready(extents) => extents.unwrap().iter().map(|e| (e.len, e.hole)).collect::<Vec<_>>(),
        Op::Wait(_) => panic!("there is nothing to wait for"),
    };
    let all = [(512, true), (2560, false), (99_840 - 3072, true), (160, false)];
    assert_eq!(extents(0, SIZE, NONE), all);
    assert_eq!(extents(99_840, 160, NONE), all[3..]);
    assert_eq!(extents(512, 512, NONE), [(512, false)]);
    // A client that does not begin at a block hears of the rest of it.
    assert_eq!(extents(100, 1000, NONE), [(412, true), (1024, false)]);
    // The first extent of the disk behind ends within the block.
    assert_eq!(extents(512, 512, Flags { req_one: true, ..NONE })[0], (512, false));
}

#[test]
fn a_policed_disk_is_a_disk() {
    for policy in ["allow", "error"] {
        let mut params = SIZES.to_vec();
        params.push(("blocksize-error-policy", policy));
        let Chain { bench, next } = Chain::new(&params);
        let driver = bench.clone();
        Kit::disks(move |read_only, connection| {
            let mut req = bench.request(connection, "");
            req.read_only = read_only;
            bench.run(async { next.open(req).await })
        })
        .driver(move |task| driver.run(task))
        .size(SIZE)
        .run();
    }
}

#[test]
fn bad_parameters() {
    let refusal = |key, value| {
        let bench = Bench::default();
        let ram = bench.plugin::<Ram>("ram", &[]).unwrap();
        match bench.filter::<BlocksizePolicy>("blocksize-policy", &[(key, value)], ram) {
            Ok(_) => panic!("{key}={value} should be refused"),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(refusal("blocksize-minimum", "3"), "blocksize-minimum must be a power of 2, not 3");
    assert_eq!(
        refusal("blocksize-error-policy", "deny"),
        "blocksize-error-policy: unknown value 'deny', should be allow, error, strict-error"
    );
}
