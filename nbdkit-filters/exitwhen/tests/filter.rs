// SPDX-License-Identifier: BSD-3-Clause
//! What ends the server, and when.
#![allow(clippy::unwrap_used)]

use nbdkit_exitwhen_filter::Exitwhen;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};
use std::{
    fs,
    future::IntoFuture,
    io::{self, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const SIZE: u64 = 100_001;
const REJECTION: &str = "exitwhen: nbdkit is exiting: rejecting new connection";
/// Nothing here waits for that.
const HOUR: (&str, &str) = ("exit-when-poll", "3600");

fn memory() -> Next {
    let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
    memory.config("size", SIZE.to_string().as_ref()).unwrap();
    memory.get_ready().unwrap();
    Next::plugin("memory", memory.into())
}

struct Chain {
    bench: Bench,
    next: Next,
}

impl Chain {
    fn new(params: &[(&str, &str)]) -> Chain {
        let bench = Bench::default();
        let next = bench.filter::<Exitwhen>("exitwhen", params, memory()).unwrap();
        Chain { bench, next }
    }

    fn connect(&self) -> Result<Connection> {
        let connection = self.bench.request(1, "").connection;
        self.bench.run(async { self.next.preconnect(connection.clone()).await })?;
        Ok(connection)
    }

    fn ends(&self) {
        self.bench.run(self.bench.server().stopped());
    }

    fn goes_on(&self) -> bool {
        // Everything that can run has run.
        self.bench.run(async {
            for _ in 0..100 {
                futures_lite::future::yield_now().await;
            }
        });
        !self.bench.server().stopping()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What ends the server of a chain, and how to make it happen.
type Trigger = Box<dyn FnOnce()>;

fn triggers(directory: &Path) -> Vec<(&'static str, String, Trigger)> {
    let made: PathBuf = directory.join("made");
    let moved = directory.join("moved");
    let deleted = directory.join("deleted");
    let elsewhere = directory.join("elsewhere");
    for path in [&deleted, &elsewhere] {
        fs::write(path, "").unwrap();
    }
    let (reader, writer) = io::pipe().unwrap();
    let mut process = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let pid = process.id().to_string();
    let number = reader.as_raw_fd().to_string();
    vec![
        ("exit-when-file-created", text(&made).into(), Box::new(move || fs::write(made, "").unwrap())),
        (
            "exit-when-file-created",
            text(&moved).into(),
            Box::new(move || fs::rename(elsewhere, moved).unwrap()),
        ),
        (
            "exit-when-file-deleted",
            text(&deleted).into(),
            Box::new(move || fs::remove_file(deleted).unwrap()),
        ),
        (
            "exit-when-pipe-closed",
            number,
            Box::new(move || {
                drop(reader);
                drop(writer);
            }),
        ),
        (
            "exit-when-process-exits",
            pid,
            Box::new(move || {
                drop(process.stdin.take());
                process.wait().unwrap();
            }),
        ),
    ]
}

#[test]
fn an_idle_server_ends_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for (key, value, trigger) in triggers(directory.path()) {
        let chain = Chain::new(&[(key, &value), HOUR]);
        assert!(chain.goes_on(), "{key}");
        chain.connect().unwrap().end();
        assert!(chain.goes_on(), "{key}");
        trigger();
        chain.ends();
    }
}

#[test]
fn clients_may_stay_and_nobody_comes() {
    let directory = tempfile::tempdir().unwrap();
    for (key, value, trigger) in triggers(directory.path()) {
        let chain = Chain::new(&[(key, &value), HOUR]);
        let first = chain.connect().unwrap();
        let second = chain.connect().unwrap();
        trigger();
        let rejected = chain.connect().map(drop).unwrap_err();
        assert_eq!((rejected.errno(), rejected.to_string().as_str()), (EPERM, REJECTION), "{key}");
        first.end();
        assert!(chain.goes_on(), "{key}");
        assert!(chain.connect().is_err());
        second.end();
        chain.ends();
    }
}

#[test]
fn what_has_happened_before_the_start_is_known_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let none = place.join("none");
    let (reader, writer) = io::pipe().unwrap();
    let pipe = reader.as_raw_fd().to_string();
    for (params, is_over) in [
        (&[][..], false),
        (&[("exit-when-file-created", text(&none))], false),
        (&[("exit-when-file-created", text(place))], true),
        (&[("exit-when-file-deleted", text(place))], false),
        (&[("exit-when-file-deleted", text(&none))], true),
        (&[("exit-when-fd-closed", &pipe)], false),
        (&[("exit-when-script", "exit 0"), ("exit-when-script", "exit 3")], false),
        (&[("exit-when-script", "exit 3"), ("exit-when-script", "exit 88")], true),
    ] {
        assert_eq!(ready(params).is_over(), is_over, "{params:?}");
    }
    drop(writer);
    assert!(ready(&[("exit-when-fd-closed", &pipe)]).is_over());
}

/// Before the server starts.
fn ready(params: &[(&str, &str)]) -> Exitwhen {
    let mut filter = Exitwhen::default();
    filter.startup(&Startup::new(Bench::default().log().clone()));
    for (key, value) in params {
        filter.config(key, value.as_ref()).unwrap();
    }
    filter.config_complete().unwrap();
    filter.get_ready().unwrap();
    filter
}

/// A server that was started all the same.
#[test]
fn what_has_happened_ends_it_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for (key, value) in [("exit-when-file-created", text(directory.path())), ("exit-when-script", "exit 88")]
    {
        let chain = Chain::new(&[(key, value), HOUR]);
        assert_eq!(chain.connect().map(drop).unwrap_err().to_string(), REJECTION);
        chain.ends();
    }
}

#[test]
fn any_of_several_will_do() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["a", "b", "c"].map(|name| directory.path().join(name));
    for happens in &paths {
        let params: Vec<_> = paths.iter().map(|path| ("exit-when-file-created", text(path))).collect();
        let chain = Chain::new(&[&params[..], &[HOUR]].concat());
        assert!(chain.goes_on());
        fs::write(happens, "").unwrap();
        chain.ends();
        fs::remove_file(happens).unwrap();
    }
}

#[test]
fn what_has_happened_cannot_be_undone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let chain = Chain::new(&[("exit-when-file-created", text(&path)), HOUR]);
    let client = chain.connect().unwrap();
    fs::write(&path, "").unwrap();
    assert!(chain.connect().is_err());
    fs::remove_file(&path).unwrap();
    assert!(chain.connect().is_err());
    client.end();
    chain.ends();
}

#[test]
fn a_pipe_is_not_read() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"still here").unwrap();
    let chain =
        Chain::new(&[("exit-when-pipe-closed", &reader.as_raw_fd().to_string()), ("exit-when-poll", "1")]);
    assert!(chain.goes_on());
    drop(writer);
    chain.ends();
    assert_eq!(io::read_to_string(reader).unwrap(), "still here");
}

#[test]
fn scripts_are_asked_when_clients_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let (asked, answer) = (directory.path().join("asked"), directory.path().join("answer"));
    let count = || fs::read_to_string(&asked).unwrap_or_default().len();
    let script = format!("printf x >>{}; exit $(cat {})", text(&asked), text(&answer));
    fs::write(&answer, "0").unwrap();
    let chain = Chain::new(&[("exit-when-script", &script), HOUR]);
    let settle = |times| {
        chain.bench.run(async {
            while count() < times {
                futures_lite::future::yield_now().await;
            }
        });
        assert!(chain.goes_on());
    };
    settle(1);
    let first = chain.connect().unwrap();
    let second = chain.connect().unwrap();
    settle(3);
    first.end();
    settle(3);
    second.end();
    settle(4);
    // A failure is said, and that is all.
    fs::write(&answer, "7").unwrap();
    let third = chain.connect().unwrap();
    let failure = "error: exit-when-script: command failed with exit code 7";
    assert!(chain.bench.lines().iter().any(|line| line.ends_with(failure)), "{:?}", chain.bench.lines());
    fs::write(&answer, "88").unwrap();
    third.end();
    chain.ends();
}

#[test]
fn a_script_is_run_again_and_again_while_nobody_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("times");
    // The third time.
    let script = format!("printf x >>{0}; test $(cat {0}) != xxx || exit 88", text(&path));
    Chain::new(&[("exit-when-script", &script), ("exit-when-poll", "0")]).ends();
    assert_eq!(fs::read_to_string(&path).unwrap(), "xxx");
}

#[test]
fn a_script_that_hangs_does_not_hold_up_the_end() {
    // Those that were begun end with the folder.
    let directory = tempfile::tempdir().unwrap();
    let script = format!("while test -d {}; do sleep 0.1; done", text(&directory.path().join("hangs")));
    let chain = Chain::new(&[("exit-when-script", &script), HOUR]);
    fs::create_dir(directory.path().join("hangs")).unwrap();
    let connection = chain.bench.request(1, "").connection;
    chain.bench.run(async {
        let mut waiting = chain.next.preconnect(connection).into_future();
        assert!(futures_lite::future::poll_once(&mut waiting).await.is_none());
        chain.bench.server().shutdown();
        assert_eq!(waiting.await.unwrap_err().errno(), ESHUTDOWN);
        chain.bench.server().drained().await;
    });
}

#[test]
fn without_events_nothing_is_done() {
    let chain = Chain::new(&[HOUR]);
    chain.connect().unwrap().end();
    assert!(chain.goes_on());
    assert!(chain.bench.lines().is_empty());
}

#[test]
fn bad_parameters() {
    let refusal = |key, value| {
        let result = Bench::default().filter::<Exitwhen>("exitwhen", &[(key, value)], memory());
        result.map(drop).unwrap_err().to_string()
    };
    for pid in ["0", "2147483647", "4294967295"] {
        assert_eq!(
            refusal("exit-when-process-exits", pid),
            format!("exit-when-process-exits: /proc/{pid}/stat: No such file or directory")
        );
    }
    assert!(refusal("exit-when-pid-exits", "x").starts_with("exit-when-pid-exits: could not parse number"));
    assert!(refusal("exit-when-process-exits", "-1").starts_with("exit-when-process-exits: "));
    let said = refusal("exit-when-pipe-closed", "1000000");
    assert!(said.starts_with("exit-when-pipe-closed: invalid file descriptor: 1000000"), "{said}");
    assert!(refusal("exit-when-poll", "-1").starts_with("exit-when-poll: "));
}

#[test]
fn says_what_it_can_do() {
    let lines = Exitwhen::default().dump();
    assert!(
        lines.len() == 5 && lines.iter().all(|(key, value)| key.starts_with("exitwhen_") && value == "yes")
    );
}

#[test]
fn keeps_the_promises_of_a_disk() {
    let Chain { bench, next } = Chain::new(&[("exit-when-file-created", "/nonexistent/file"), HOUR]);
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .content(Content::Zeroes)
    .run();
}
