// SPDX-License-Identifier: BSD-3-Clause
//! Clients that leave: what waits for them is woken, what they are still owed they get, and every disk is closed once.

use async_io::Timer;
use nbdkit::embed::Embedded;
use nbdkit_plugin::*;
use nbdkit_tests::{
    raw::{Address, Client, Reply, cmd},
    until,
};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

/// Reads from here on wait until the client has gone; those before do not wait.
const SLEEPY: u64 = 1 << 20;
/// Reads from here on wait until [`Shared::go`].
const SLOW: u64 = 2 << 20;

#[derive(Default)]
struct Shared {
    go: AtomicBool,
    said: Mutex<Vec<&'static str>>,
}

impl Shared {
    fn say(&self, what: &'static str) {
        self.said.lock().unwrap().push(what);
    }

    fn said(&self) -> Vec<&'static str> {
        self.said.lock().unwrap().clone()
    }
}

struct Waiting(Arc<Shared>);

struct WaitingDisk {
    info: Info,
    connection: Connection,
    shared: Arc<Shared>,
}

impl Plugin for Waiting {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let (connection, shared) = (req.connection.clone(), self.0.clone());
        req.ready(WaitingDisk { info: Info::read_only(4 << 20), connection, shared })
    }
}

impl WaitingDisk {
    async fn go(&self) {
        while !self.shared.go.load(SeqCst) {
            Timer::after(Duration::from_millis(5)).await;
        }
    }
}

impl Disk for WaitingDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        Op::wait(async move {
            match offset {
                ..SLEEPY => {}
                SLEEPY..SLOW => {
                    self.shared.say("asleep");
                    self.connection.gone().await;
                    self.shared.say("woken");
                }
                _ => self.go().await,
            }
            Ok(Data::from(Buf::from(vec![7; len as usize])))
        })
    }

    fn finalize(&self) -> Op<'_, ()> {
        Op::wait(async {
            self.shared.say("finalize");
            self.go().await;
            self.shared.say(if self.connection.is_gone() { "gone" } else { "in peace" });
            Ok(())
        })
    }

    fn close(&self) -> Op<'_, ()> {
        self.shared.say("close");
        Op::ok(())
    }
}

fn serve(threads: usize, check: impl FnOnce(Client, &Shared)) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let shared = Arc::new(Shared::default());
    let running = Embedded::new("waiting", Waiting(shared.clone())).threads(threads).unix(&path).unwrap();
    let mut client = Client::connect(&Address::Unix(path)).unwrap();
    client.simple("");
    check(client, &shared);
    running.stop().unwrap();
    assert_eq!(shared.said().iter().filter(|said| **said == "close").count(), 1, "{:?}", shared.said());
}

#[test]
fn what_sleeps_for_a_client_is_woken_when_it_hangs_up() {
    // With one thread the server does not look for more requests while that one is under way.
    for threads in [16, 1] {
        serve(threads, |mut client, shared| {
            client.request(cmd::READ, 0, SLEEPY, 512).unwrap();
            until("the read has begun", || shared.said() == ["asleep"]);
            drop(client);
            until("the disk is closed", || shared.said() == ["asleep", "woken", "close"]);
        });
    }
}

#[test]
fn a_reply_that_cannot_be_delivered_wakes_them_too() {
    serve(16, |mut client, shared| {
        client.request(cmd::READ, 0, SLOW, 512).unwrap();
        client.request(cmd::READ, 0, SLEEPY, 512).unwrap();
        until("the second read has begun", || shared.said() == ["asleep"]);
        client.finish_sending();
        drop(client);
        shared.go.store(true, SeqCst);
        until("the disk is closed", || shared.said() == ["asleep", "woken", "close"]);
    });
}

#[test]
fn who_only_stops_sending_gets_all_replies() {
    serve(4, |mut client, shared| {
        // More than the server answers in one go, and one that takes long.
        let slow = client.request(cmd::READ, 0, SLOW, 512).unwrap();
        for _ in 0..64 {
            client.request(cmd::READ, 0, 0, 64 << 10).unwrap();
        }
        client.finish_sending();
        for _ in 0..64 {
            assert!(matches!(client.reply().unwrap(), Reply::Simple { error: 0, cookie } if cookie != slow));
            assert!(client.recv(64 << 10).unwrap().iter().all(|byte| *byte == 7));
        }
        // The server looks up several times meanwhile.
        std::thread::sleep(Duration::from_millis(2500));
        shared.go.store(true, SeqCst);
        assert_eq!(client.read_reply(slow, SLOW, 512).unwrap(), [7; 512]);
        client.assert_closed("after the last reply");
    });
}

#[test]
fn a_goodbye_leaves_finalize_in_peace() {
    serve(16, |mut client, shared| {
        client.request(cmd::DISC, 0, 0, 0).unwrap();
        drop(client);
        until("finalize has begun", || shared.said() == ["finalize"]);
        shared.go.store(true, SeqCst);
        until("the disk is closed", || shared.said() == ["finalize", "in peace", "close"]);
    });
}
