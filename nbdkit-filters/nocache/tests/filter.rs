// SPDX-License-Identifier: BSD-3-Clause
//! Cache requests are hidden, done by reading or ignored, and never arrive behind.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_nocache_filter::Nocache;
use nbdkit_plugin::conformance::{Content, Kit};
use std::sync::Mutex;

/// A disk that writes down what arrives.
#[derive(Clone)]
struct Diary {
    info: Info,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Plugin for Diary {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.ready((*self).clone())
    }
}

impl Disk for Diary {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.lines.lock().unwrap().push(format!("read {len}@{offset}"));
        Op::ok(Data::zero(len.into()))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        panic!("cache {span:?} arrives")
    }
}

/// What becomes of a cache request, and what arrives.
fn cache(params: &[(&str, &str)]) -> (Support, Result<()>, Vec<String>) {
    let bench = Bench::default();
    let lines = Arc::default();
    let info = Info::read_only(1 << 20).with(|info| info.cache = Support::Native);
    let diary = Next::plugin("diary", Arc::new(Diary { info, lines: Arc::clone(&lines) }));
    let disk = bench.open(&bench.filter::<Nocache>("nocache", params, diary).unwrap()).unwrap();
    let result = bench.run(async { disk.cache(Span::new(512, 1024)).await });
    let lines = lines.lock().unwrap().clone();
    (disk.info().cache, result, lines)
}

#[test]
fn hidden() {
    for params in [&[][..], &[("cache-mode", "none")]] {
        let (support, result, lines) = cache(params);
        assert_eq!((support, result.unwrap_err().errno()), (Support::None, EOPNOTSUPP));
        assert_eq!(lines, [""; 0]);
    }
}

#[test]
fn done_by_reading() {
    let (support, result, lines) = cache(&[("cache-mode", "emulate")]);
    result.unwrap();
    assert_eq!((support, lines), (Support::Emulated, vec!["read 1024@512".to_owned()]));
}

#[test]
fn ignored() {
    let (support, result, lines) = cache(&[("cachemode", "nop")]);
    result.unwrap();
    assert_eq!((support, lines), (Support::Native, vec![]));
}

#[test]
fn keeps_the_promises_of_a_disk() {
    for mode in ["none", "emulate", "nop"] {
        let bench = Bench::default();
        let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
        memory.config("size", "100001".as_ref()).unwrap();
        memory.get_ready().unwrap();
        let memory = Next::plugin("memory", memory.into());
        let next = bench.filter::<Nocache>("nocache", &[("cache-mode", mode)], memory).unwrap();
        let driver = bench.clone();
        Kit::disks(move |read_only, connection| {
            let mut req = bench.request(connection, "");
            req.read_only = read_only;
            bench.run(async { next.open(req).await })
        })
        .driver(move |task| driver.run(task))
        .size(100_001)
        .content(Content::Zeroes)
        .operations(200)
        .run();
    }
}

#[test]
fn bad_parameters() {
    let error = Nocache::default().config("cache-mode", "some".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "cache-mode: unknown value 'some', should be none, emulate, nop");
}
