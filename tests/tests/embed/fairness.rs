// SPDX-License-Identifier: BSD-3-Clause
//! Connections whose operations are expensive take turns: none is put off until another has all it wants.

use nbdkit::embed::Embedded;
use nbdkit_plugin::*;
use nbdkit_tests::raw::{Address, Client, cmd};
use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

/// CPU time of a read: a few make a turn of a connection.
const COST: Duration = Duration::from_micros(200);
/// Requests that each client has sent ahead.
const QUEUE: usize = 2000;

/// Reads burn CPU time on the thread that serves.
struct Burner {
    /// Reads that were done, of each disk.
    done: Vec<AtomicUsize>,
    opened: AtomicUsize,
    /// How many the slowest had done when the fastest had done all.
    slowest: OnceLock<usize>,
}

struct Burning {
    info: Info,
    number: usize,
    burner: Arc<Burner>,
}

impl Plugin for Burner {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let number = self.opened.fetch_add(1, SeqCst);
        req.ready(Burning { info: Info::read_only(1 << 20), number, burner: self })
    }
}

impl Disk for Burning {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, _: u64) -> Op<'_, Data> {
        let began = Instant::now();
        while began.elapsed() < COST {}
        let done = &self.burner.done;
        if done[self.number].fetch_add(1, SeqCst) + 1 == QUEUE {
            self.burner.slowest.get_or_init(|| done.iter().map(|done| done.load(SeqCst)).min().unwrap());
        }
        Op::ok(Data::zero(len.into()))
    }
}

#[test]
fn expensive_connections_take_turns() {
    // More than there are threads that serve.
    let clients = available_parallelism().map_or(1, usize::from) + 1;
    let burner = Burner {
        done: (0..clients).map(|_| AtomicUsize::new(0)).collect(),
        opened: AtomicUsize::new(0),
        slowest: OnceLock::new(),
    };
    let burner = Arc::new(burner);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let running = Embedded::new("burner", Shared(burner.clone())).unix(&path).unwrap();
    let mut clients: Vec<_> = (0..clients)
        .map(|_| {
            let mut client = Client::connect(&Address::Unix(path.clone())).unwrap();
            client.structured("");
            client
        })
        .collect();
    for client in &mut clients {
        for _ in 0..QUEUE {
            client.request(cmd::READ, 0, 0, 512).unwrap();
        }
    }
    for client in &mut clients {
        for _ in 0..QUEUE {
            assert_eq!(client.reply().unwrap().error(), None);
        }
    }
    drop(clients);
    running.stop().unwrap();
    // Some share a thread and have half of it each; a tenth leaves room for what the kernel does.
    let slowest = *burner.slowest.get().unwrap();
    assert!(slowest > QUEUE / 10, "{slowest} reads were done of one client when {QUEUE} were of another");
}

/// The test keeps a hand on the plugin.
struct Shared(Arc<Burner>);

impl Plugin for Shared {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        self.0.clone().open(req)
    }
}
