// SPDX-License-Identifier: BSD-3-Clause
//! No client can keep the server, or others, from what they have to do: not by never being quiet, not by never reading.

use async_io::Timer;
use nbdkit::embed::Embedded;
use nbdkit_plugin::*;
use nbdkit_tests::raw::{Address, Client, Reply, cmd, simple};
use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

struct Quick;

struct QuickDisk(Info);

/// Writes here take a moment; all else is done at once.
const SLOW: u64 = 4096;

impl Plugin for Quick {
    fn thread_model(&self) -> ThreadModel {
        ThreadModel::SerializeAllRequests
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let mut info = Info::writable(64 << 20);
        info.trim = true;
        req.ready(QuickDisk(info))
    }
}

impl Disk for QuickDisk {
    fn info(&self) -> &Info {
        &self.0
    }

    fn pread(&self, len: u32, _: u64) -> Op<'_, Data> {
        Op::ok(Data::zero(len.into()))
    }

    fn pwrite(&self, _: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        match offset {
            SLOW => Op::wait(async {
                Timer::after(Duration::from_millis(20)).await;
                Ok(())
            }),
            _ => Op::ok(()),
        }
    }

    /// Busy for a microsecond for each byte: clients can easily send more than is done.
    fn trim(&self, span: Span, _: Flags) -> Op<'_, ()> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(span.len) {}
        Op::ok(())
    }
}

/// A client, and another hand on its socket.
fn two_hands(path: &Path) -> (Client, UnixStream) {
    let socket = UnixStream::connect(path).unwrap();
    let other = socket.try_clone().unwrap();
    let mut client = Client::over(socket).unwrap();
    client.simple("");
    (client, other)
}

/// Trims of `len` bytes, without a pause, until `enough` or the end of the connection.
fn flood(mut socket: &UnixStream, len: u32, enough: &AtomicBool) {
    let many: Vec<u8> = (0..2000).flat_map(|_| simple(0, cmd::TRIM, 0, 0, len)).collect();
    while !enough.load(SeqCst) && socket.write_all(&many).is_ok() {}
    let _ = socket.shutdown(Shutdown::Write);
}

/// The cookies of all replies, as they come, until `look` is false or the connection ends.
fn replies(mut socket: &UnixStream, mut look: impl FnMut(u64) -> bool) {
    let mut bytes = vec![0; 1 << 20];
    let mut have = 0;
    while let Ok(len @ 1..) = socket.read(&mut bytes[have..]) {
        have += len;
        let (whole, _) = bytes[..have].as_chunks::<16>();
        if !whole.iter().all(|reply| look(u64::from_be_bytes(*reply.last_chunk().unwrap()))) {
            return;
        }
        let done = whole.len() * 16;
        bytes.copy_within(done..have, 0);
        have -= done;
    }
}

#[test]
fn busy_clients_cannot_hold_up_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let running = Embedded::new("quick", Quick).unix(&path).unwrap();
    let clients: Vec<_> = (0..4).map(|_| two_hands(&path)).collect();
    let (never, flooded) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        for (_, socket) in &clients {
            scope.spawn(|| flood(socket, 2, &never));
            scope.spawn(|| {
                replies(socket, |_| {
                    flooded.store(true, SeqCst);
                    true
                })
            });
        }
        nbdkit_tests::until("the flood has begun", || flooded.load(SeqCst));
        running.stop().unwrap();
    });
}

#[test]
fn a_flood_does_not_keep_an_operation_or_its_gate() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let running = Embedded::new("quick", Quick).unix(&path).unwrap();
    let (mut client, socket) = two_hands(&path);
    let (mut other, _socket) = two_hands(&path);
    let (enough, answered) = (AtomicBool::new(false), AtomicBool::new(false));
    let slow = client.request(cmd::WRITE, 0, SLOW, 512).unwrap();
    client.send(&[1; 512]).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| flood(&socket, 20, &enough));
        let reader = scope.spawn(|| {
            replies(&socket, |cookie| {
                answered.fetch_or(cookie == slow, SeqCst);
                true
            })
        });
        nbdkit_tests::until("the slow write is answered", || answered.load(SeqCst));
        // The gate is open for another connection as well, while the flood goes on.
        other.write(SLOW, &[1; 512], 0).unwrap();
        enough.store(true, SeqCst);
        reader.join().unwrap();
    });
    running.stop().unwrap();
}

#[test]
fn a_client_that_never_reads_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let running = Embedded::new("quick", Quick).unix(&path).unwrap();
    let mut client = Client::connect(&Address::Unix(path)).unwrap();
    client.simple("");
    // A slow client, for which the server has learned to go to sleep at once.
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(1));
        client.call(cmd::TRIM, 0, 0, 1).unwrap();
    }
    for _ in 0..100 {
        client.request(cmd::READ, 0, 0, 1 << 20).unwrap();
    }
    assert!(matches!(client.reply().unwrap(), Reply::Simple { error: 0, .. }));
    running.stop().unwrap();
}
