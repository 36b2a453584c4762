// SPDX-License-Identifier: BSD-3-Clause
//! Errors are injected where, when and as often as the parameters say, and nowhere else.
#![allow(clippy::unwrap_used)]

use nbdkit_error_filter::Inject;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Kit, Writes};
use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering::SeqCst},
};

const SIZE: u64 = 64 << 10;

/// A disk in memory that counts what arrives.
#[derive(Default)]
struct Ram {
    bytes: Arc<Mutex<Vec<u8>>>,
    calls: Arc<AtomicU32>,
}

impl Plugin for Ram {
    fn get_ready(&mut self) -> Result<()> {
        *self.bytes.lock().unwrap() = vec![0; SIZE as usize];
        Ok(())
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.inline(RamDisk { bytes: self.bytes.clone(), calls: self.calls.clone(), read_only: req.read_only })
    }
}

struct RamDisk {
    bytes: Arc<Mutex<Vec<u8>>>,
    calls: Arc<AtomicU32>,
    read_only: bool,
}

impl RamDisk {
    fn span(&self, span: Span, change: impl FnOnce(&mut [u8])) -> Result<()> {
        self.calls.fetch_add(1, SeqCst);
        change(&mut self.bytes.lock().unwrap()[span.offset as usize..span.end() as usize]);
        Ok(())
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
        self.span(Span::new(offset, buf.len() as u64), |bytes| buf.copy_from_slice(bytes))
    }

    fn pwrite(&self, data: &[u8], offset: u64, _: Flags) -> Result<()> {
        self.span(Span::new(offset, data.len() as u64), |bytes| bytes.copy_from_slice(data))
    }

    fn flush(&self) -> Result<()> {
        self.span(Span::new(0, 0), |_| ())
    }

    fn trim(&self, span: Span, _: Flags) -> Result<()> {
        self.span(span, |bytes| bytes.fill(0))
    }

    fn zero(&self, span: Span, _: Flags) -> Result<()> {
        self.span(span, |bytes| bytes.fill(0))
    }

    fn cache(&self, span: Span) -> Result<()> {
        self.span(span, |_| ())
    }

    fn extents(&self, span: Span, _: Flags) -> Result<Extents> {
        self.span(span, |_| ()).map(|()| Extents::data(span.len))
    }
}

/// A disk behind the filter.
struct Chain {
    bench: Bench,
    disk: Arc<dyn Disk>,
    calls: Arc<AtomicU32>,
}

impl Chain {
    fn new(params: &[(&str, &str)]) -> Chain {
        let bench = Bench::default();
        let mut ram = Ram::default();
        ram.get_ready().unwrap();
        let calls = ram.calls.clone();
        let next = bench.filter::<Inject>("error", params, Next::plugin("ram", Arc::new(ram))).unwrap();
        Chain { disk: bench.open(&next).unwrap(), bench, calls }
    }

    /// What becomes of each of the operations, and how many of them arrived behind.
    fn all(&self) -> ([i32; 7], u32) {
        let before = self.calls.load(SeqCst);
        let (disk, span, flags) = (&self.disk, Span::new(0, 512), Flags::default());
        let results = self.bench.run(async {
            [
                disk.pread(512, 0).await.map(drop),
                disk.pwrite(Buf::from(vec![1; 512]), 0, flags).await,
                disk.trim(span, flags).await,
                disk.zero(span, Flags { fast_zero: true, ..flags }).await,
                disk.extents(span, flags).await.map(drop),
                disk.cache(span).await,
                disk.flush().await,
            ]
        });
        (
            results.map(|result| result.map_or_else(|error| error.errno(), |()| 0)),
            self.calls.load(SeqCst) - before,
        )
    }
}

#[test]
fn without_a_rate_nothing_fails() {
    assert_eq!(Chain::new(&[("error", "ENOSPC")]).all(), ([0; 7], 7));
    let next = {
        let bench = Bench::default();
        let ram = bench.plugin::<Ram>("ram", &[]).unwrap();
        bench.filter::<Inject>("error", &[], ram).unwrap()
    };
    let bench = Bench::default();
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

#[test]
fn with_rate_1_all_fail_and_nothing_arrives() {
    let chain = Chain::new(&[("error-rate", "100%")]);
    assert_eq!(chain.all(), ([EIO, EIO, EIO, EIO, EIO, EIO, 0], 1));
    let lines: Vec<_> = ["pread", "pwrite", "trim", "zero", "extents", "cache"]
        .map(|operation| format!("error[1]: error: injecting EIO error into {operation}"))
        .into();
    assert_eq!(chain.bench.lines(), lines);
}

#[test]
fn each_operation_has_its_own() {
    for (number, key) in ["pread", "pwrite", "trim", "zero", "extents", "cache"].into_iter().enumerate() {
        let (name, rate) = (format!("error-{key}"), format!("error-{key}-rate"));
        let mut one = [0; 7];
        one[number] = ENOMEM;
        assert_eq!(Chain::new(&[(&name, "ENOMEM"), (&rate, "1")]).all(), (one, 6), "only {key}");
        let mut others = [EPERM, EPERM, EPERM, EPERM, EPERM, EPERM, 0];
        others[number] = 0;
        let all = [(&*rate, "0"), ("error-rate", "1"), ("error", "EPERM")];
        assert_eq!(Chain::new(&all).all(), (others, 2), "all but {key}, whatever comes last");
    }
}

#[test]
fn only_while_the_file_exists() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("inject");
    let other = directory.path().join("other");
    let chain = Chain::new(&[
        ("error-rate", "1"),
        ("error-file", path.to_str().unwrap()),
        ("error-pread-file", other.to_str().unwrap()),
    ]);
    assert_eq!(chain.all(), ([0; 7], 7));
    std::fs::write(&path, "").unwrap();
    assert_eq!(chain.all(), ([0, EIO, EIO, EIO, EIO, EIO, 0], 2));
    std::fs::write(&other, "").unwrap();
    assert_eq!(chain.all(), ([EIO, EIO, EIO, EIO, EIO, EIO, 0], 1));
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&other).unwrap();
    assert_eq!(chain.all(), ([0; 7], 7));
}

#[test]
fn a_quarter_is_a_quarter() {
    let chain = Chain::new(&[("error-pread-rate", "1:4")]);
    let failed = (0..10_000).filter(|_| matches!(chain.disk.pread(1, 0), Op::Ready(Err(_)))).count();
    // 2500, give or take 8 standard deviations of 43.
    assert!((2150..2850).contains(&failed), "{failed} of 10000");
    assert_eq!(chain.calls.load(SeqCst) as usize, 10_000 - failed);
}

#[test]
fn writes_that_fail_change_nothing() {
    let bench = Bench::default();
    let ram = bench.plugin::<Ram>("ram", &[]).unwrap();
    let params =
        [("error", "ENOSPC"), ("error-pwrite-rate", "1"), ("error-zero-rate", "1"), ("error-trim-rate", "1")];
    let next = bench.filter::<Inject>("error", &params, ram).unwrap();
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .writes(Writes::Fail(ENOSPC))
    .run();
}

#[test]
fn bad_parameters() {
    let refusal = |key, value| {
        let bench = Bench::default();
        let ram = bench.plugin::<Ram>("ram", &[]).unwrap();
        match bench.filter::<Inject>("error", &[(key, value)], ram) {
            Ok(_) => panic!("{key}={value} should be refused"),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(
        refusal("error", "EFOO"),
        "error: unknown error name 'EFOO', should be one of EPERM|EIO|ENOMEM|EINVAL|ENOSPC|ESHUTDOWN"
    );
    assert_eq!(
        refusal("error-rate", "2"),
        "error-rate: rate out of range: '2' parsed as 2, should be 0 to 1 or 0% to 100%"
    );
    assert!(
        refusal("error-zero-rate", "101%")
            .starts_with("error-zero-rate: rate out of range: '101%' parsed as 1.01")
    );
    assert!(refusal("error-trim-rate", "-1").starts_with("error-trim-rate: could not parse '-1'"));
    assert!(refusal("error-cache-file", "").starts_with("error-cache-file: the path is empty"));
}
