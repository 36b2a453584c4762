// SPDX-License-Identifier: BSD-3-Clause
//! Each thread model allows what it says, across connections, and no more.

use async_io::Timer;
use nbdkit::embed::Embedded;
use nbdkit_plugin::*;
use nbdkit_tests::{
    HANG,
    raw::{Address, Client, cmd, opt},
};
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// How many operations, on how many disks, ran at once.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Overlap {
    open: usize,
    most_open: usize,
    running: usize,
    most_running: usize,
    most_on_one: usize,
}

struct Recorder {
    model: ThreadModel,
    /// A read lasts until as many run at once; or a moment, if that is one.
    wanted: usize,
    overlap: Arc<Mutex<Overlap>>,
}

struct RecordingDisk {
    info: Info,
    recorder: Arc<Recorder>,
    running: Mutex<usize>,
}

impl Recorder {
    fn note<T>(&self, note: impl FnOnce(&mut Overlap) -> T) -> T {
        note(&mut self.overlap.lock().unwrap())
    }
}

impl Plugin for Recorder {
    fn thread_model(&self) -> ThreadModel {
        self.model
    }

    /// Done at once, which is no excuse for being done while something else is.
    fn list_exports(self: Arc<Self>, _: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        self.note(|overlap| overlap.most_running = overlap.most_running.max(overlap.running + 1));
        Op::ok(None)
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        self.note(|overlap| {
            overlap.open += 1;
            overlap.most_open = overlap.most_open.max(overlap.open);
        });
        req.ready(RecordingDisk { info: Info::read_only(1 << 20), recorder: self, running: Mutex::new(0) })
    }
}

impl Disk for RecordingDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, _: u64) -> Op<'_, Data> {
        Op::wait(async move {
            let here = {
                let mut here = self.running.lock().unwrap();
                *here += 1;
                *here
            };
            self.recorder.note(|overlap| {
                overlap.running += 1;
                overlap.most_running = overlap.most_running.max(overlap.running);
                overlap.most_on_one = overlap.most_on_one.max(here);
            });
            let start = Instant::now();
            loop {
                Timer::after(Duration::from_millis(5)).await;
                let enough = self.recorder.note(|overlap| overlap.most_running >= self.recorder.wanted);
                if enough || start.elapsed() > HANG {
                    break;
                }
            }
            self.recorder.note(|overlap| overlap.running -= 1);
            *self.running.lock().unwrap() -= 1;
            Ok(Data::zero(len.into()))
        })
    }

    fn close(&self) -> Op<'_, ()> {
        self.recorder.note(|overlap| overlap.open -= 1);
        Op::ok(())
    }
}

/// Two clients with two reads each in flight; what of that ran at once.
fn record(model: ThreadModel, wanted: usize) -> Overlap {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let overlap = Arc::new(Mutex::new(Overlap::default()));
    let recorder = Recorder { model, wanted, overlap: overlap.clone() };
    let running = Embedded::new("recorder", recorder).unix(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = Client::connect(&Address::Unix(path.clone())).unwrap();
                client.structured("");
                for offset in [0, 512] {
                    client.request(cmd::READ, 0, offset, 512).unwrap();
                }
                for _ in 0..2 {
                    assert_eq!(client.reply().unwrap().error(), None);
                }
            });
        }
    });
    running.stop().unwrap();
    let overlap = *overlap.lock().unwrap();
    assert_eq!((overlap.open, overlap.running), (0, 0));
    overlap
}

#[test]
fn serialize_connections() {
    let overlap = record(ThreadModel::SerializeConnections, 1);
    assert_eq!((overlap.most_open, overlap.most_running), (1, 1));
}

#[test]
fn serialize_all_requests() {
    let overlap = record(ThreadModel::SerializeAllRequests, 1);
    assert_eq!(overlap.most_running, 1);
}

#[test]
fn serialize_requests() {
    // Both connections at once, each with one.
    let overlap = record(ThreadModel::SerializeRequests, 2);
    assert_eq!((overlap.most_open, overlap.most_running, overlap.most_on_one), (2, 2, 1));
}

#[test]
fn parallel() {
    let overlap = record(ThreadModel::Parallel, 4);
    assert_eq!((overlap.most_open, overlap.most_running, overlap.most_on_one), (2, 4, 2));
}

#[test]
fn listing_waits_for_requests_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let overlap = Arc::new(Mutex::new(Overlap::default()));
    let model = ThreadModel::SerializeAllRequests;
    let running = Embedded::new("recorder", Recorder { model, wanted: 1, overlap: overlap.clone() })
        .unix(&path)
        .unwrap();
    let mut client = Client::connect(&Address::Unix(path.clone())).unwrap();
    client.structured("");
    let mut other = Client::connect(&Address::Unix(path)).unwrap();
    other.hello().unwrap();
    client.request(cmd::READ, 0, 0, 512).unwrap();
    // Or has run: it takes a few milliseconds, between two of these looks.
    nbdkit_tests::until("the read runs", || overlap.lock().unwrap().most_running == 1);
    other.ask(opt::LIST, &[]).unwrap();
    assert_eq!(client.reply().unwrap().error(), None);
    running.stop().unwrap();
    assert_eq!(overlap.lock().unwrap().most_running, 1);
}
