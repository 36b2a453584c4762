// SPDX-License-Identifier: BSD-3-Clause
//! Nothing is written while it must not be.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit, Writes};
use nbdkit_readonly_filter::Readonly;

const SIZE: u64 = 100_001;

/// The filter in front of a disk in memory.
fn chain(bench: &Bench, params: &[(&str, &str)]) -> Next {
    let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
    memory.config("size", SIZE.to_string().as_ref()).unwrap();
    memory.get_ready().unwrap();
    bench.filter::<Readonly>("readonly", params, Next::plugin("memory", memory.into())).unwrap()
}

fn kit(bench: Bench, next: Next) -> Kit {
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .content(Content::Zeroes)
}

/// What becomes of write, zero, trim and flush: an errno, or 0.
fn outcomes(bench: &Bench, disk: &dyn Disk) -> [i32; 4] {
    let (span, flags) = (Span::new(0, 512), Flags::default());
    let results = bench.run(async {
        [
            disk.pwrite(Buf::from(vec![1; 512]), 0, flags).await,
            disk.zero(span, flags).await,
            disk.trim(span, flags).await,
            disk.flush().await,
        ]
    });
    results.map(|result| result.map_or_else(|error| error.errno(), |()| 0))
}

#[test]
fn always() {
    let bench = Bench::default();
    let next = chain(&bench, &[]);
    let disk = bench.open(&next).unwrap();
    let info = disk.info();
    assert!(!info.write && !info.trim && !info.zero.works() && !info.fua.works());
    assert!(info.flush && info.extents && info.multi_conn, "reading is as good as before");
    assert_eq!(outcomes(&bench, &*disk), [EPERM, EPERM, EPERM, 0]);
    kit(bench, next).run();
}

/// A plugin that serves nobody, and says how it was asked.
#[derive(Default)]
struct Gruff;

impl Plugin for Gruff {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        Op::err(Error::new(EIO, if req.read_only { "for reading" } else { "for writing" }))
    }
}

#[test]
fn the_plugin_need_not_be_able_to_write() {
    let asked = |params: &[(&str, &str)]| {
        let bench = Bench::default();
        let gruff = bench.plugin::<Gruff>("gruff", &[]).unwrap();
        let next = bench.filter::<Readonly>("readonly", params, gruff).unwrap();
        bench.open(&next).map(drop).unwrap_err().to_string()
    };
    assert_eq!(asked(&[]), "for reading");
    assert_eq!(asked(&[("readonly-file", "protected")]), "for writing");
}

#[test]
fn while_the_file_exists() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("protected");
    let bench = Bench::default();
    let disk = bench.open(&chain(&bench, &[("readonly-file", path.to_str().unwrap())])).unwrap();
    assert!(disk.info().write && disk.info().trim && disk.info().zero.works());
    assert_eq!(outcomes(&bench, &*disk), [0; 4]);
    std::fs::write(&path, "").unwrap();
    assert_eq!(outcomes(&bench, &*disk), [EPERM, EPERM, EPERM, 0]);
    assert!(disk.info().write, "what clients were told stays true");
    let write = disk.pwrite(Buf::from(vec![1]), 0, Flags::default());
    let Op::Ready(Err(error)) = write else { panic!("should fail at once") };
    let why = format!("this disk is protected from writing while {} exists", path.display());
    assert_eq!(error.to_string(), why);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(outcomes(&bench, &*disk), [0; 4]);
}

#[test]
fn keeps_the_promises_of_a_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("protected");
    let bench = Bench::default();
    let next = chain(&bench, &[("readonly-file", path.to_str().unwrap())]);
    kit(bench.clone(), next).run();
    std::fs::write(&path, "").unwrap();
    let next = chain(&bench, &[("readonly-file", path.to_str().unwrap())]);
    kit(bench, next).writes(Writes::Fail(EPERM)).run();
}

#[test]
fn bad_parameters() {
    let error = Readonly::default().config("readonly-file", "".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "readonly-file: the path is empty");
}
