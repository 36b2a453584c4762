// SPDX-License-Identifier: BSD-3-Clause
//! What succeeds is counted, on all connections, and written down once, at the end.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::Kit;
use nbdkit_stats_filter::Stats;
use std::{fs, path::PathBuf};

const SIZE: u64 = 100_000;
const NONE: Flags = Flags { fua: false, may_trim: false, fast_zero: false, req_one: false };

/// Zeroes that take writes and forget them; trims fail. Every other answer has to be waited for.
#[derive(Default)]
struct Zeroes;

impl Plugin for Zeroes {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.ready(ZeroDisk(Info::writable(SIZE).with(|info| {
            (info.flush, info.trim, info.multi_conn, info.extents) = (true, true, true, true);
            (info.fua, info.cache, info.zero) = (Support::Native, Support::Native, Support::Native);
            if req.read_only {
                info.without_writing();
            }
        })))
    }
}

struct ZeroDisk(Info);

impl Disk for ZeroDisk {
    fn info(&self) -> &Info {
        &self.0
    }

    fn pread(&self, len: u32, _: u64) -> Op<'_, Data> {
        Op::wait(async move {
            futures_lite::future::yield_now().await;
            Ok(Data::zero(len.into()))
        })
    }

    fn pwrite(&self, _: Buf, _: u64, _: Flags) -> Op<'_, ()> {
        Op::ok(())
    }

    fn flush(&self) -> Op<'_, ()> {
        Op::wait(async { Ok(()) })
    }

    fn trim(&self, _: Span, _: Flags) -> Op<'_, ()> {
        Op::err(Error::new(ENOSPC, "no"))
    }

    fn zero(&self, _: Span, _: Flags) -> Op<'_, ()> {
        Op::ok(())
    }

    fn cache(&self, _: Span) -> Op<'_, ()> {
        Op::ok(())
    }

    fn extents(&self, span: Span, _: Flags) -> Op<'_, Extents> {
        Op::ok(Extents::hole(span.len))
    }
}

struct Chain {
    bench: Bench,
    next: Next,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Chain {
    /// The file has a line already.
    fn new(params: &[(&str, &str)]) -> Chain {
        let (bench, directory) = (Bench::default(), tempfile::tempdir().unwrap());
        let file = directory.path().join("stats");
        fs::write(&file, "before\n").unwrap();
        let zeroes = bench.plugin::<Zeroes>("zeroes", &[]).unwrap();
        let params = [&[("statsfile", file.to_str().unwrap())], params].concat();
        let next = bench.filter::<Stats>("stats", &params, zeroes).unwrap();
        Chain { bench, next, file, _directory: directory }
    }

    /// A client that does every operation once, and reads three times.
    fn client(&self) {
        let (disk, span) = (self.bench.open(&self.next).unwrap(), Span::new(4096, 1024));
        self.bench.run(async {
            for offset in [0, 4096, 8192] {
                disk.pread(4096, offset).await.unwrap();
            }
            disk.pwrite(Buf::from(vec![1; 1000]), 1, NONE).await.unwrap();
            disk.trim(span, NONE).await.unwrap_err();
            disk.zero(span, NONE).await.unwrap();
            disk.cache(span).await.unwrap();
            disk.extents(span, NONE).await.unwrap();
            disk.flush().await.unwrap();
            disk.finalize().await.unwrap();
            disk.close().await.unwrap();
        });
    }

    fn end(&self) -> String {
        self.bench.run(async { self.next.cleanup().await }).unwrap();
        fs::read_to_string(&self.file).unwrap()
    }
}

/// Without what a clock says: the seconds and the rates.
fn timeless(report: &str) -> String {
    let words = |line: &str| {
        let kept = line.split(", ").filter(|part| !part.ends_with(" s") && !part.contains("/s"));
        kept.collect::<Vec<_>>().join(", ")
    };
    report.lines().map(words).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_succeeds_is_counted() {
    let chain = Chain::new(&[]);
    assert_eq!(fs::read_to_string(&chain.file).unwrap(), "", "replaced when the server starts");
    chain.client();
    chain.client();
    let expected = "\
total: 14 ops, 27.95 KiB
read: 6 ops, 24.00 KiB
  Request size and alignment breakdown:
    12 bits: 100.0% (6 reqs, 24.00 KiB total)
         12 bit aligned: 100.0% (6)
         13 bit aligned:  66.7% (4)

write: 2 ops, 1.95 KiB
  Request size and alignment breakdown:
     9 bits: 100.0% (2 reqs, 1.95 KiB total)
          0 bit aligned: 100.0% (2)

zero: 2 ops, 2.00 KiB
  Request size and alignment breakdown:
    10 bits: 100.0% (2 reqs, 2.00 KiB total)
         12 bit aligned: 100.0% (2)

extents: 2 ops, 2.00 KiB
  Request size and alignment breakdown:
    10 bits: 100.0% (2 reqs, 2.00 KiB total)
         12 bit aligned: 100.0% (2)

cache: 2 ops, 2.00 KiB
  Request size and alignment breakdown:
    10 bits: 100.0% (2 reqs, 2.00 KiB total)
         12 bit aligned: 100.0% (2)

flush: 2 ops, 0 bytes";
    assert_eq!(timeless(&chain.end()), expected);
}

#[test]
fn added_to_a_file() {
    let chain = Chain::new(&[("statsappend", "true"), ("statsthreshold", "0")]);
    chain.client();
    let expected = "\
before
total: 7 ops, 13.98 KiB
read: 3 ops, 12.00 KiB
write: 1 ops, 1000 bytes
zero: 1 ops, 1.00 KiB
extents: 1 ops, 1.00 KiB
cache: 1 ops, 1.00 KiB
flush: 1 ops, 0 bytes";
    assert_eq!(timeless(&chain.end()), expected);
}

#[test]
fn written_for_programs() {
    let chain = Chain::new(&[("statsformat", "json")]);
    chain.client();
    let report = chain.end();
    assert_eq!(report.find('\n'), Some(report.len() - 1), "one line");
    let mut json: serde_json::Value = serde_json::from_str(&report).unwrap();
    for (_, kind) in json.as_object_mut().unwrap() {
        assert!(kind.as_object_mut().unwrap().remove("seconds").unwrap().is_f64());
    }
    let once = serde_json::json!({ "ops": 1, "bytes": 1024, "sizes": [
        { "bits": 10, "ops": 1, "bytes": 1024, "aligned": [{ "bits": 12, "ops": 1 }] }
    ] });
    let expected = serde_json::json!({
        "total": { "ops": 7, "bytes": 14312 },
        "read": { "ops": 3, "bytes": 12288, "sizes": [{
            "bits": 12, "ops": 3, "bytes": 12288,
            "aligned": [{ "bits": 12, "ops": 3 }, { "bits": 13, "ops": 2 }],
        }] },
        "write": { "ops": 1, "bytes": 1000, "sizes": [
            { "bits": 9, "ops": 1, "bytes": 1000, "aligned": [{ "bits": 0, "ops": 1 }] }
        ] },
        "trim": { "ops": 0, "bytes": 0, "sizes": [] },
        "zero": once, "extents": once, "cache": once,
        "flush": { "ops": 1, "bytes": 0, "sizes": [] },
    });
    assert_eq!(json, expected);

    let brief = Chain::new(&[("statsformat", "json"), ("statsthreshold", "0")]);
    brief.client();
    let json: serde_json::Value = serde_json::from_str(&brief.end()).unwrap();
    assert_eq!(json["read"].get("sizes"), None);
}

/// What is not waited for has not been done.
#[test]
fn only_what_was_done_is_counted() {
    let chain = Chain::new(&[("statsthreshold", "0")]);
    let disk = chain.bench.open(&chain.next).unwrap();
    drop(disk.pread(1, 0));
    assert_eq!(timeless(&chain.end()), "total: 0 ops, 0 bytes");
}

#[test]
fn a_counted_disk_is_a_disk() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stats");
    let bench = Bench::default();
    let mut plugin = (nbdkit_memory_plugin::PLUGIN.create)();
    plugin.config("size", SIZE.to_string().as_ref()).unwrap();
    plugin.get_ready().unwrap();
    let memory = Next::plugin("memory", plugin.into());
    let next = bench.filter::<Stats>("stats", &[("statsfile", file.to_str().unwrap())], memory).unwrap();
    let (driver, opener, chain) = (bench.clone(), bench.clone(), next.clone());
    Kit::disks(move |read_only, connection| {
        let mut req = opener.request(connection, "");
        req.read_only = read_only;
        opener.run(async { chain.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .run();
    bench.run(async { next.cleanup().await }).unwrap();
    assert!(fs::read_to_string(&file).unwrap().contains("\nwrite: "));
}

#[test]
fn bad_parameters() {
    let refusal = |params: &[(&str, &str)]| {
        let bench = Bench::default();
        let zeroes = bench.plugin::<Zeroes>("zeroes", &[]).unwrap();
        match bench.filter::<Stats>("stats", params, zeroes) {
            Ok(_) => panic!("{params:?} should be refused"),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(refusal(&[]), "stats filter requires statsfile parameter");
    let threshold = |percent| refusal(&[("statsfile", "/dev/null"), ("statsthreshold", percent)]);
    assert_eq!(threshold("101"), "statsthreshold must be between 0 and 100 (percent), not 101");
    assert_eq!(threshold("-1"), "statsthreshold must be between 0 and 100 (percent), not -1");
    assert_eq!(refusal(&[("statsformat", "xml")]), "statsformat: unknown value 'xml', should be text, json");
    assert_eq!(refusal(&[("statsfile", "/dev/null/stats")]), "open: /dev/null/stats: Not a directory");
}
