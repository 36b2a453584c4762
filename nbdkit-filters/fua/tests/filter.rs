// SPDX-License-Identifier: BSD-3-Clause
//! Durability is what the mode makes of it.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_fua_filter::Fua;
use nbdkit_plugin::conformance::{Content, Kit};
use std::sync::Mutex;

/// A disk that writes down what arrives.
#[derive(Clone)]
struct Diary {
    info: Info,
    lines: Arc<Mutex<Vec<String>>>,
    /// What becomes of a flush.
    flush: i32,
}

impl Diary {
    fn note(&self, what: &str, flags: Flags) -> Op<'_, ()> {
        let fua = if flags.fua { " fua" } else { "" };
        self.lines.lock().unwrap().push(format!("{what}{fua}"));
        Op::ok(())
    }
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

    fn pread(&self, len: u32, _: u64) -> Op<'_, Data> {
        Op::ok(Data::zero(len.into()))
    }

    fn pwrite(&self, _: Buf, _: u64, flags: Flags) -> Op<'_, ()> {
        self.note("write", flags)
    }

    fn flush(&self) -> Op<'_, ()> {
        self.note("flush", Flags::default()).and_then(|()| match self.flush {
            0 => Op::ok(()),
            errno => Op::err(Error::new(errno, "flush failed")),
        })
    }

    fn trim(&self, _: Span, flags: Flags) -> Op<'_, ()> {
        self.note("trim", flags)
    }

    fn zero(&self, _: Span, flags: Flags) -> Op<'_, ()> {
        self.note("zero", flags)
    }

    fn close(&self) -> Op<'_, ()> {
        self.note("close", Flags::default())
    }
}

/// A disk behind the filter.
struct Chain {
    bench: Bench,
    disk: Arc<dyn Disk>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Chain {
    fn open(set: impl FnOnce(&mut Info), params: &[(&str, &str)], flush: i32) -> Result<Chain> {
        let bench = Bench::default();
        let info = Info::writable(4096).with(|info| {
            (info.trim, info.zero) = (true, Support::Native);
            set(info);
        });
        let diary = Diary { info, lines: Arc::default(), flush };
        let lines = diary.lines.clone();
        let next = bench.filter::<Fua>("fua", params, Next::plugin("diary", Arc::new(diary)))?;
        Ok(Chain { disk: bench.open(&next)?, bench, lines })
    }

    fn arrived(&self) -> String {
        std::mem::take(&mut *self.lines.lock().unwrap()).join(", ")
    }

    /// What arrives of each write-like operation with FUA or without, and of a flush.
    fn writes(&self, fua: bool) -> String {
        let (span, flags) = (Span::new(0, 512), Flags { fua, ..Flags::default() });
        self.bench.run(async {
            self.disk.pwrite(Buf::from(vec![1; 512]), 0, flags).await.unwrap();
            self.disk.trim(span, flags).await.unwrap();
            self.disk.zero(span, flags).await.unwrap();
        });
        self.arrived()
    }

    fn flush(&self) -> String {
        self.bench.run(async { self.disk.flush().await }).unwrap();
        self.arrived()
    }
}

fn native(info: &mut Info) {
    (info.flush, info.fua) = (true, Support::Native);
}

fn by_flushing(info: &mut Info) {
    (info.flush, info.fua) = (true, Support::Emulate);
}

const PLAIN: &str = "write, trim, zero";
const FUA: &str = "write fua, trim fua, zero fua";
const FLUSHED: &str = "write, flush, trim, flush, zero, flush";

#[test]
fn each_mode_in_front_of_a_disk_that_can() {
    for (mode, shown, plain, fua, flush) in [
        ("none", Support::None, PLAIN, PLAIN, "flush"),
        ("emulate", Support::Emulated, PLAIN, FLUSHED, "flush"),
        ("native", Support::Native, PLAIN, FUA, "flush"),
        ("force", Support::Native, FUA, FUA, ""),
        ("pass", Support::Native, PLAIN, FUA, "flush"),
        ("discard", Support::Native, PLAIN, PLAIN, ""),
    ] {
        for key in ["fua-mode", "fuamode"] {
            let chain = Chain::open(native, &[(key, mode)], 0).unwrap();
            let info = chain.disk.info();
            assert_eq!((info.fua, info.flush), (shown, true), "{mode}");
            assert_eq!([chain.writes(false), chain.writes(true)], [plain, fua], "{mode}");
            assert_eq!(chain.flush(), flush, "{mode}");
        }
    }
    assert_eq!(Chain::open(native, &[], 0).unwrap().disk.info().fua, Support::None);
}

#[test]
fn each_mode_in_front_of_a_disk_that_flushes_instead() {
    for (mode, plain, fua) in [
        ("none", PLAIN, PLAIN),
        ("emulate", PLAIN, FLUSHED),
        ("native", PLAIN, FLUSHED),
        ("force", FLUSHED, FLUSHED),
        ("pass", PLAIN, FLUSHED),
        ("discard", PLAIN, PLAIN),
    ] {
        let chain = Chain::open(by_flushing, &[("fua-mode", mode)], 0).unwrap();
        assert_eq!([chain.writes(false), chain.writes(true)], [plain, fua], "{mode}");
    }
}

#[test]
fn a_disk_that_cannot() {
    let refusal = |params: &[(&str, &str)]| match Chain::open(|_| (), params, 0) {
        Ok(_) => panic!("{params:?} should be refused"),
        Err(error) => error.to_string(),
    };
    assert_eq!(refusal(&[("fua-mode", "emulate")]), "fua-mode=emulate needs a disk behind that can flush");
    for mode in ["native", "force"] {
        let why = "needs a disk behind that can do forced unit access (FUA), should be none, pass or discard";
        assert_eq!(refusal(&[("fua-mode", mode)]), format!("fua-mode={mode} {why}"));
    }
    assert_eq!(
        refusal(&[("flush-on-close", "on")]),
        "flush-on-close=true needs a disk behind that can flush"
    );
    for (mode, flush) in [("none", false), ("pass", false), ("discard", true)] {
        let chain = Chain::open(|_| (), &[("fua-mode", mode)], 0).unwrap();
        assert_eq!(chain.disk.info().flush, flush, "{mode}");
    }
    for mode in ["none", "emulate", "native", "force", "pass", "discard"] {
        let params = [("fua-mode", mode), ("flush-on-close", "on")];
        let chain = Chain::open(Info::without_writing, &params, 0).unwrap();
        assert_eq!(chain.disk.info().fua, Support::None, "nothing to do for who only reads");
        chain.bench.run(async { chain.disk.close().await }).unwrap();
        assert_eq!(chain.arrived(), "close");
    }
}

#[test]
fn flushes_when_the_client_goes() {
    for (params, arrived) in [
        (&[][..], "close"),
        (&[("flush-on-close", "true")], "flush, close"),
        (&[("flush-on-close", "true"), ("fua-mode", "discard")], "flush, close"),
    ] {
        let chain = Chain::open(native, params, 0).unwrap();
        chain.bench.run(async { chain.disk.close().await }).unwrap();
        assert_eq!(chain.arrived(), arrived, "{params:?}");
    }
    let chain = Chain::open(native, &[("flush-on-close", "true")], ENOSPC).unwrap();
    let error = chain.bench.run(async { chain.disk.close().await }).unwrap_err();
    assert_eq!((error.errno(), &*chain.arrived()), (ENOSPC, "flush, close"), "closed all the same");
}

#[test]
fn keeps_the_promises_of_a_disk() {
    for mode in ["none", "emulate", "native", "force", "pass", "discard"] {
        let bench = Bench::default();
        let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
        memory.config("size", "100001".as_ref()).unwrap();
        memory.get_ready().unwrap();
        let memory = Next::plugin("memory", memory.into());
        let params = [("fua-mode", mode), ("flush-on-close", "true")];
        let next = bench.filter::<Fua>("fua", &params, memory).unwrap();
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
    let error = Fua::default().config("fua-mode", "always".as_ref()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "fua-mode: unknown value 'always', should be none, emulate, native, force, pass, discard"
    );
}
