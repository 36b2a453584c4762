// SPDX-License-Identifier: BSD-3-Clause
//! Zeroing is what the modes make of it.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_nozero_filter::Nozero;
use nbdkit_plugin::conformance::{Content, Kit};
use std::sync::Mutex;

/// A disk that writes down what arrives.
#[derive(Clone)]
struct Diary {
    info: Info,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Diary {
    fn note(&self, line: String) -> Op<'_, ()> {
        self.lines.lock().unwrap().push(line);
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

    fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        assert!(data.iter().all(|byte| *byte == 0));
        self.note(format!("write {}@{offset}", data.len()))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        let Flags { may_trim, fast_zero, .. } = flags;
        self.note(format!("zero {}@{} may_trim={may_trim} fast={fast_zero}", span.len, span.offset))
    }
}

/// Zeroes for itself, fast.
fn native(info: &mut Info) {
    (info.zero, info.fast_zero) = (Support::Native, true);
}

/// Opens a disk that `set` describes behind the filter.
fn open(set: fn(&mut Info), params: &[(&str, &str)]) -> Result<(Bench, Arc<dyn Disk>, Diary)> {
    let bench = Bench::default();
    let diary = Diary { info: Info::writable(1 << 20).with(set), lines: Arc::default() };
    let next = Next::plugin("diary", Arc::new(diary.clone()));
    let disk = bench.open(&bench.filter::<Nozero>("nozero", params, next)?)?;
    Ok((bench, disk, diary))
}

/// What is offered (zeroing, fast zeroing), and what arrives of an ordinary and of a fast zero; `-` if it fails.
fn outcome(set: fn(&mut Info), params: &[(&str, &str)]) -> (bool, bool, [String; 2]) {
    let (bench, disk, diary) = open(set, params).unwrap();
    let arrives = |fast_zero| {
        let flags = Flags { fast_zero, may_trim: true, ..Flags::default() };
        let result = bench.run(async { disk.zero(Span::new(512, 1024), flags).await });
        let lines = std::mem::take(&mut *diary.lines.lock().unwrap());
        match result {
            Ok(()) => lines.join(", "),
            Err(error) => {
                assert_eq!((error.errno(), lines.len()), (EOPNOTSUPP, 0));
                "-".to_owned()
            }
        }
    };
    (disk.info().zero.works(), disk.info().fast_zero, [arrives(false), arrives(true)])
}

const ZERO: &str = "zero 1024@512 may_trim=true fast=false";
const FAST: &str = "zero 1024@512 may_trim=true fast=true";
const KEEP: &str = "zero 1024@512 may_trim=false fast=false";
const KEEP_FAST: &str = "zero 1024@512 may_trim=false fast=true";
const WRITE: &str = "write 1024@512";

#[test]
fn every_pair_of_modes() {
    let all = ["default", "none", "slow", "ignore"];
    let table = [
        ("none", [(false, "-", "-"); 4]),
        ("emulate", [(true, WRITE, "-"), (false, WRITE, "-"), (true, WRITE, "-"), (true, WRITE, WRITE)]),
        ("notrim", [(true, KEEP, KEEP_FAST), (false, KEEP, "-"), (true, KEEP, "-"), (true, KEEP, KEEP)]),
        ("plugin", [(true, ZERO, FAST), (false, ZERO, "-"), (true, ZERO, "-"), (true, ZERO, ZERO)]),
    ];
    for (mode, row) in table {
        for (fast, (offered, slow_one, fast_one)) in all.iter().zip(row) {
            let params = [("zero-mode", mode), ("fast-zero-mode", *fast)];
            let want = (mode != "none", offered, [slow_one.to_owned(), fast_one.to_owned()]);
            assert_eq!(outcome(native, &params), want, "{mode} {fast}");
        }
    }
    assert_eq!(outcome(native, &[]), outcome(native, &[("zeromode", "none"), ("fastzeromode", "default")]));
}

#[test]
fn a_disk_that_is_zeroed_by_writing() {
    let by_writing = |_: &mut Info| {};
    for mode in ["notrim", "plugin", "emulate"] {
        let want = (true, true, [WRITE.to_owned(), "-".to_owned()]);
        assert_eq!(outcome(by_writing, &[("zero-mode", mode)]), want, "{mode}");
        let want = (true, true, [WRITE.to_owned(), WRITE.to_owned()]);
        assert_eq!(outcome(by_writing, &[("zero-mode", mode), ("fast-zero-mode", "ignore")]), want, "{mode}");
    }
}

#[test]
fn a_disk_that_cannot_zero() {
    let cannot = |info: &mut Info| info.zero = Support::None;
    for mode in ["notrim", "plugin"] {
        let Err(error) = open(cannot, &[("zero-mode", mode)]) else { panic!("{mode} should be refused") };
        let why = "needs a disk behind that can zero, should be none or emulate";
        assert_eq!(error.to_string(), format!("zero-mode={mode} {why}"));
    }
    assert_eq!(outcome(cannot, &[("zero-mode", "emulate")]).2[0], WRITE);
    let read_only = |info: &mut Info| info.without_writing();
    let (_, disk, _) = open(read_only, &[("zero-mode", "emulate"), ("fast-zero-mode", "slow")]).unwrap();
    assert!(!disk.info().zero.works() && !disk.info().fast_zero);
}

#[test]
fn keeps_the_promises_of_a_disk() {
    for mode in ["none", "emulate", "notrim", "plugin"] {
        for fast in ["default", "none", "slow"] {
            let bench = Bench::default();
            let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
            memory.config("size", "100001".as_ref()).unwrap();
            memory.get_ready().unwrap();
            let memory = Next::plugin("memory", memory.into());
            let params = [("zero-mode", mode), ("fast-zero-mode", fast)];
            let next = bench.filter::<Nozero>("nozero", &params, memory).unwrap();
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
}

#[test]
fn bad_parameters() {
    let refusal = |key, value: &str| Nozero::default().config(key, value.as_ref()).unwrap_err().to_string();
    assert_eq!(
        refusal("zero-mode", "all"),
        "zero-mode: unknown value 'all', should be none, emulate, notrim, plugin"
    );
    assert_eq!(
        refusal("fastzeromode", "quick"),
        "fastzeromode: unknown value 'quick', should be default, none, slow, ignore"
    );
}
