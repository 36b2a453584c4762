// SPDX-License-Identifier: BSD-3-Clause
//! Everything that happens has its lines, in the file and through the script; nothing else changes.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_log_filter::LogFilter;
use nbdkit_plugin::conformance::Kit;
use std::{fs, path::PathBuf};

const SIZE: u64 = 128 << 10;
const NONE: Flags = Flags { fua: false, may_trim: false, fast_zero: false, req_one: false };

fn memory() -> Next {
    let mut plugin = (nbdkit_memory_plugin::PLUGIN.create)();
    plugin.config("size", SIZE.to_string().as_ref()).unwrap();
    plugin.get_ready().unwrap();
    Next::plugin("memory", plugin.into())
}

/// Fails wherever it can.
#[derive(Default)]
struct Failing;

impl Plugin for Failing {
    fn preconnect(self: Arc<Self>, _: Connection) -> Op<'static, ()> {
        Op::err(Error::new(EPERM, "no"))
    }

    fn list_exports(self: Arc<Self>, _: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        Op::err(Error::new(EIO, "no"))
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        match &*req.export {
            "none" => Op::err(Error::new(ENOENT, "no")),
            _ => req.ready(FailingDisk(Info::read_only(SIZE))),
        }
    }
}

struct FailingDisk(Info);

impl Disk for FailingDisk {
    fn info(&self) -> &Info {
        &self.0
    }

    fn pread(&self, _: u32, _: u64) -> Op<'_, Data> {
        Op::wait(async { Err(Error::new(ENOSPC, "no")) })
    }

    fn extents(&self, _: Span, _: Flags) -> Op<'_, Extents> {
        Op::err(Error::new(EACCES, "no"))
    }

    fn finalize(&self) -> Op<'_, ()> {
        Op::err(Error::new(EIO, "no"))
    }
}

/// Has a list.
#[derive(Default)]
struct Listing;

impl Plugin for Listing {
    fn list_exports(self: Arc<Self>, _: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        Op::ok(Some(["", "plain", "it's $HOME"].map(Export::new).into()))
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.ready(FailingDisk(Info::read_only(SIZE)))
    }
}

struct Chain {
    bench: Bench,
    next: Next,
    directory: tempfile::TempDir,
}

impl Chain {
    /// Parameters may name `DIR`, the directory of the test.
    fn new(next: Next, params: &[(&str, &str)]) -> Chain {
        let (bench, directory) = (Bench::default(), tempfile::tempdir().unwrap());
        let place = directory.path().to_str().unwrap();
        fs::write(directory.path().join("log"), "before\n").unwrap();
        let params: Vec<_> = params.iter().map(|(key, value)| (*key, value.replace("DIR", place))).collect();
        let params: Vec<_> = params.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let next = bench.filter::<LogFilter>("log", &params, next).unwrap();
        Chain { bench, next, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The lines of the log, without the times, which look as they should.
    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log")).unwrap();
        let line = |line: &str| {
            let (stamp, rest) = line.split_at_checked(27).unwrap_or(("", line));
            let form: String = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            match form == "0000-00-00 00:00:00.000000 " {
                true => rest.to_owned(),
                false => format!("no time: {line}"),
            }
        };
        text.lines().map(line).collect()
    }

    fn request(&self, export: &str) -> OpenRequest {
        self.bench.request(1, export)
    }

    fn open(&self, export: &str) -> Result<Arc<dyn Disk>> {
        self.bench.run(async { self.next.open(self.request(export)).await })
    }
}

/// All that a client can do.
async fn everything(disk: &dyn Disk) {
    let (span, flags) = (Span::new(0x1000, 0x200), |fua| Flags { fua, ..NONE });
    disk.pread(0x200, 0).await.unwrap();
    disk.pwrite(Buf::from(vec![1; 0x200]), 0x1000, flags(true)).await.unwrap();
    disk.extents(Span::new(0, 0x10000), NONE).await.unwrap();
    disk.zero(span, Flags { may_trim: true, fast_zero: true, ..NONE }).await.unwrap();
    disk.zero(span, flags(true)).await.unwrap();
    disk.flush().await.unwrap();
    disk.cache(span).await.unwrap();
    disk.trim(span, flags(false)).await.unwrap();
    disk.finalize().await.unwrap();
    disk.close().await.unwrap();
}

#[test]
fn a_session() {
    let chain = Chain::new(memory(), &[("logfile", "DIR/log")]);
    assert_eq!(chain.lines(), ["Ready thread_model=3"], "the file is emptied first");
    chain.bench.run(async {
        chain.next.preconnect(chain.request("").connection).await.unwrap();
        chain.next.list_exports(chain.request("")).await.unwrap();
    });
    let disk = chain.open("it's").unwrap();
    chain.bench.run(everything(&*disk));
    let told = "tls=0 size=0x20000 minsize=0x1 prefsize=0x8000 maxsize=0xffffffff write=1 flush=1 rotational=0 trim=1 zero=2 fua=2 \
                extents=1 cache=2 fast_zero=1";
    assert_eq!(
        chain.lines()[1..],
        [
            "Preconnect id=1 readonly=0 ...",
            "...Preconnect id=1 return=0",
            "ListExports id=1 readonly=0 tls=0 ...",
            "...ListExports id=1 exports=(\"\") return=0",
            &format!("connection=1 Connect export=\"it's\" {told}"),
            "connection=1 Read id=1 offset=0x0 count=0x200 ...",
            "connection=1 ...Read id=1 return=0",
            "connection=1 Write id=2 offset=0x1000 count=0x200 fua=1 ...",
            "connection=1 ...Write id=2 return=0",
            "connection=1 Extents id=3 offset=0x0 count=0x10000 req_one=0 ...",
            "connection=1 ...Extents id=3 extents=(0x0 0x8000 \"\" 0x8000 0x8000 \"hole,zero\") return=0",
            "connection=1 Zero id=4 offset=0x1000 count=0x200 trim=1 fua=0 fast=1 ...",
            "connection=1 ...Zero id=4 return=0",
            "connection=1 Zero id=5 offset=0x1000 count=0x200 trim=0 fua=1 fast=0 ...",
            "connection=1 ...Zero id=5 return=0",
            "connection=1 Flush id=6 ...",
            "connection=1 ...Flush id=6 return=0",
            "connection=1 Cache id=7 offset=0x1000 count=0x200 ...",
            "connection=1 ...Cache id=7 return=0",
            "connection=1 Trim id=8 offset=0x1000 count=0x200 fua=0 ...",
            "connection=1 ...Trim id=8 return=0",
            "connection=1 Disconnect transactions=8",
        ]
    );
}

#[test]
fn failures() {
    let bench = Bench::default();
    let failing = bench.plugin::<Failing>("failing", &[]).unwrap();
    let chain = Chain::new(failing, &[("logfile", "DIR/log"), ("logappend", "true")]);
    let req = || chain.request("");
    chain.bench.run(async {
        for _ in 0..2 {
            chain.next.preconnect(req().connection).await.unwrap_err();
        }
        let mut listing = req();
        (listing.read_only, listing.tls) = (true, true);
        chain.next.list_exports(listing).await.unwrap_err();
    });
    chain.open("none").map(drop).unwrap_err();
    chain.open("").unwrap();
    let disk = chain.open("").unwrap();
    chain.bench.run(async {
        assert_eq!(disk.pread(1, 0).await.map(drop).unwrap_err().errno(), ENOSPC);
        disk.extents(Span::new(0, 1), Flags { req_one: true, ..NONE }).await.unwrap_err();
    });
    let lines = chain.lines();
    let wanted = [
        "no time: before",
        "Ready thread_model=3",
        "Preconnect id=1 readonly=0 ...",
        "...Preconnect id=1 return=-1 error=EPERM",
        "Preconnect id=2 readonly=0 ...",
        "...Preconnect id=2 return=-1 error=EPERM",
        "ListExports id=1 readonly=1 tls=1 ...",
        "...ListExports id=1 return=-1 error=EIO",
    ];
    assert_eq!(lines[..8], wanted);
    // What cannot be opened is no connection.
    assert!(lines[8].starts_with("connection=1 Connect export=\"\""));
    assert!(lines[9].starts_with("connection=2 Connect export=\"\""));
    assert_eq!(lines[11], "connection=2 ...Read id=1 return=-1 error=ENOSPC");
    assert_eq!(lines[12], "connection=2 Extents id=2 offset=0x0 count=0x1 req_one=1 ...");
    assert_eq!(lines[13], "connection=2 ...Extents id=2 return=-1 error=EINVAL");
}

#[test]
fn many_at_once_keep_their_lines_apart() {
    let chain = Chain::new(memory(), &[("logfile", "DIR/log")]);
    let disk = chain.open("").unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let disk = disk.clone();
            chain.bench.server().spawn(async move { disk.pread(512, n * 512).await.map(drop) })
        })
        .collect();
    chain.bench.run(async {
        for task in tasks {
            task.join().await.unwrap();
        }
    });
    let lines = chain.lines();
    for id in 1..=100 {
        let count = |start: String| lines.iter().filter(|line| line.starts_with(&start)).count();
        assert_eq!(count(format!("connection=1 Read id={id} offset=0x")), 1);
        assert_eq!(count(format!("connection=1 ...Read id={id} return=0")), 1);
    }
}

/// Filters that try again make operations which they then drop.
#[test]
fn what_is_never_waited_for_has_no_lines() {
    let chain = Chain::new(memory(), &[("logfile", "DIR/log")]);
    let disk = chain.open("").unwrap();
    drop(disk.pread(1, 0));
    assert_eq!(chain.lines().len(), 2);
}

#[test]
fn the_script_has_the_fields_as_variables() {
    let script = "echo $act:$connection:$id:$type:$return:$error:$offset:$count:$fua:$thread_model:$export >>DIR/out; \
                  cat; false";
    let bench = Bench::default();
    let failing = bench.plugin::<Failing>("failing", &[]).unwrap();
    let chain = Chain::new(failing, &[("logscript", script)]);
    let intruder = chain.path("intruder");
    let export = format!("it's; $(touch {0}) `touch {0}` \"", intruder.display());
    let disk = chain.open(&export).unwrap();
    chain.bench.run(async {
        disk.pread(0x200, 0x1000).await.map(drop).unwrap_err();
        disk.finalize().await.unwrap_err();
    });
    let out = fs::read_to_string(chain.path("out")).unwrap();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "Ready:::PRINT::::::3:",
            &format!("Connect:1::PRINT:::::0::{export}"),
            "Read:1:1:ENTER:::0x1000:0x200:::",
            "Read:1:1:LEAVE:-1:ENOSPC:::::",
            "Disconnect:1::PRINT:::::::",
        ]
    );
    assert!(!intruder.exists());
    assert_eq!(fs::read_to_string(chain.path("log")).unwrap(), "before\n");
    // What it returns does not matter.
    assert!(chain.bench.lines().contains(&"log[1]: logscript: exit status: 1".to_owned()));
}

/// Where the shell has arrays, a list is one.
#[test]
fn the_script_has_lists() {
    let script = match PathBuf::from("/bin/bash").exists() {
        true => "printf '%s|' \"$act\" \"${exports[@]}\" >>DIR/out",
        false => "eval \"set -- $exports\"; printf '%s|' \"$act\" \"$@\" >>DIR/out",
    };
    let bench = Bench::default();
    let listing = bench.plugin::<Listing>("listing", &[]).unwrap();
    let chain = Chain::new(listing, &[("logscript", script), ("logfile", "DIR/log")]);
    chain.bench.run(async { chain.next.list_exports(chain.request("")).await.unwrap() });
    let out = fs::read_to_string(chain.path("out")).unwrap();
    assert_eq!(out, "Ready|ListExports|ListExports||plain|it's $HOME|");
    assert_eq!(chain.lines()[2], "...ListExports id=1 exports=(\"\" plain \"it's \\$HOME\") return=0");
}

#[test]
fn a_file_that_takes_nothing_is_refused_at_the_start() {
    if !PathBuf::from("/dev/full").exists() {
        return;
    }
    let bench = Bench::default();
    let error =
        bench.filter::<LogFilter>("log", &[("logfile", "/dev/full")], memory()).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "writing to the logfile: No space left on device");
}

#[test]
fn without_file_and_script_nothing_is_in_between() {
    let chain = Chain::new(memory(), &[("logappend", "yes")]);
    let disk = chain.open("").unwrap();
    assert!(matches!(disk.pread(1, 0), Op::Ready(Ok(_))));
    assert_eq!(fs::read_to_string(chain.path("log")).unwrap(), "before\n");
}

#[test]
fn a_logged_disk_is_a_disk() {
    let chain = Chain::new(memory(), &[("logfile", "DIR/log")]);
    let (opener, driver, next) = (chain.bench.clone(), chain.bench.clone(), chain.next.clone());
    Kit::disks(move |read_only, connection| {
        let mut req = opener.request(connection, "");
        req.read_only = read_only;
        opener.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .run();
    let lines = chain.lines();
    let begun = lines.iter().filter(|line| line.ends_with(" ...")).count();
    let ended = lines.iter().filter(|line| line.contains(" ...")).count() - begun;
    assert!(begun > 1000 && begun == ended, "{begun} {ended}");
}

#[test]
fn bad_parameters() {
    let refusal = |key, value| {
        let bench = Bench::default();
        let result = bench.filter::<LogFilter>("log", &[(key, value)], memory());
        result.map(drop).unwrap_err().to_string()
    };
    assert_eq!(refusal("logfile", "/dev/null/log"), "open: /dev/null/log: Not a directory");
    assert_eq!(refusal("logfile", ""), "logfile: the path is empty");
    assert_eq!(
        refusal("logappend", "maybe"),
        "logappend: could not decipher boolean (maybe), should be true or false"
    );
}
