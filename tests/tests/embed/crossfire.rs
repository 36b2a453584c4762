// SPDX-License-Identifier: BSD-3-Clause
//! Data stays right while several clients read and write all over each other and others vanish in the middle of a word.

use nbdkit::embed::Embedded;
use nbdkit_plugin::*;
use nbdkit_tests::raw::{Address, Client, Reply, cmd, simple};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

const WORDS: usize = 256 << 10;
const SIZE: usize = WORDS * 8;
/// Every so many words belong to the next writer.
const STRIPE: usize = 8 << 10;
const WRITERS: usize = 4;
const ROUNDS: u64 = 150;

/// Answers in every way there is: at once, later, from another thread; in memory, as holes, from a file.
struct Moody {
    bytes: Arc<Mutex<Vec<u8>>>,
    mood: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

struct MoodyDisk {
    info: Info,
    moody: Arc<Moody>,
}

impl Plugin for Moody {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        self.open.fetch_add(1, SeqCst);
        req.ready(MoodyDisk { info: Info::writable(SIZE as u64), moody: self })
    }
}

impl MoodyDisk {
    fn somehow<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&mut Vec<u8>) -> T + Send + 'static,
    ) -> Op<'a, T> {
        let bytes = self.moody.bytes.clone();
        let work = move || Ok(work(&mut bytes.lock().unwrap()));
        match self.moody.mood.fetch_add(1, SeqCst) % 7 {
            0 => Op::blocking(work),
            1 => Op::wait(async {
                async_io::Timer::after(std::time::Duration::from_micros(200)).await;
                work()
            }),
            2 => Op::wait(async { work() }),
            _ => Op::now(work),
        }
    }
}

impl Disk for MoodyDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let (start, end) = (offset as usize, offset as usize + len as usize);
        self.somehow(move |bytes| {
            let pieces =
                bytes[start..end].chunks(4096).map(|piece| match piece.iter().all(|byte| *byte == 0) {
                    true => Run::Zero(piece.len() as u64),
                    false => Run::Bytes(piece.to_vec().into()),
                });
            pieces.collect::<Vec<_>>().into()
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        let start = offset as usize;
        self.somehow(move |bytes| bytes[start..start + data.len()].copy_from_slice(&data))
    }

    fn close(&self) -> Op<'_, ()> {
        self.moody.open.fetch_sub(1, SeqCst);
        Op::ok(())
    }
}

/// xorshift64*: the same numbers every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }

    fn one_of<const N: usize>(&mut self, choice: [usize; N]) -> usize {
        choice[self.roll(N)]
    }
}

/// A word says where it belongs and in which round it was written.
fn word(index: usize, round: u64) -> [u8; 8] {
    ((index as u64) << 32 | round).to_be_bytes()
}

/// Sends all requests at once, and hands over each reply's data; replies come in any order.
fn exchange(
    client: &mut Client,
    requests: &[(u16, usize, usize, Vec<u8>)],
    mut look: impl FnMut(usize, &[u8]),
) {
    let mut asked = HashMap::new();
    for (command, start, count, payload) in requests {
        let cookie = client.request(*command, 0, *start as u64 * 8, *count as u64 * 8).unwrap();
        client.send(payload).unwrap();
        assert!(asked.insert(cookie, (*command, *start, *count)).is_none());
    }
    while !asked.is_empty() {
        let reply = client.reply().unwrap();
        let (command, start, count) = asked.remove(&reply.cookie()).expect("a request that was sent, once");
        assert!(matches!(reply, Reply::Simple { error: 0, .. }), "{reply:?}");
        if command == cmd::READ {
            look(start, &client.recv(count * 8).unwrap());
        }
    }
}

/// Writes its own stripes, reads everybody's, and compares.
fn write_and_read(path: &Path, me: usize, now: &AtomicU64) {
    let mut client = Client::connect(&Address::Unix(path.to_owned())).unwrap();
    client.simple("");
    let mut dice = Dice(me as u64 + 1);
    let mut model = vec![0; WORDS];
    for round in 1..=ROUNDS {
        now.fetch_max(round, SeqCst);
        let stripes = WORDS / STRIPE / WRITERS;
        let first = dice.roll(stripes);
        let mut writes = Vec::new();
        // Eight different stripes: requests in flight together do not overlap.
        for stripe in (0..8).map(|n| (first + n) % stripes) {
            let most = dice.one_of([8, STRIPE]);
            let count = 1 + dice.roll(most);
            let start = (stripe * WRITERS + me) * STRIPE + dice.roll(STRIPE - count + 1);
            model[start..start + count].fill(round);
            let payload = (start..start + count).flat_map(|index| word(index, round)).collect();
            writes.push((cmd::WRITE, start, count, payload));
        }
        exchange(&mut client, &writes, |_, _| {});
        let reads: Vec<_> = (0..8)
            .map(|_| {
                let most = dice.one_of([64, 4 * STRIPE]);
                let count = 1 + dice.roll(most);
                (cmd::READ, dice.roll(WORDS - count + 1), count, Vec::new())
            })
            .collect();
        exchange(&mut client, &reads, |start, data| {
            for (index, bytes) in (start..).zip(data.as_chunks::<8>().0) {
                let written = u64::from_be_bytes(*bytes);
                let (place, when) = (written >> 32, written & 0xffff_ffff);
                assert!(written == 0 || place == index as u64, "word {index} holds {written:#x}");
                match index / STRIPE % WRITERS == me {
                    true => assert_eq!(when, model[index], "own word {index} in round {round}"),
                    false => assert!(when <= now.load(SeqCst), "word {index} is from round {when}"),
                }
            }
        });
    }
}

/// Says a part of what a good client says, and leaves in one of three ways.
fn vanish(path: &Path, dice: &mut Dice) {
    let mut client = Client::connect(&Address::Unix(path.to_owned())).unwrap();
    let mut life = nbdkit_tests::raw::BOTH_FLAGS.to_be_bytes().to_vec();
    life.extend(nbdkit_tests::raw::option(nbdkit_tests::raw::opt::GO, &nbdkit_tests::raw::go_payload(b"")));
    for cookie in 0..40 {
        life.extend(simple(0, cmd::READ, cookie, 8 * dice.roll(WORDS / 2) as u64, 1 << 19));
    }
    life.extend(simple(0, cmd::WRITE, 99, 0, 1 << 20));
    // Never all of the payload: nothing is written.
    life.resize(life.len() + dice.roll(1 << 20), 0xee);
    let some = dice.roll(2000).min(life.len());
    let end = dice.one_of([some, life.len()]);
    // May fail when the server waits for its replies to be read.
    let _ = client.send_some(&life[..end]);
    match dice.roll(3) {
        0 => drop(client),
        1 => client.finish_sending(),
        _ => drop(client.recv(18)),
    }
}

#[test]
fn data_is_right_under_concurrency() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let open = Arc::new(AtomicUsize::new(0));
    let moody =
        Moody { bytes: Arc::new(Mutex::new(vec![0; SIZE])), mood: Arc::default(), open: open.clone() };
    let running = Embedded::new("moody", moody).unix(&path).unwrap();
    let now = AtomicU64::new(0);
    thread::scope(|scope| {
        let (path, now) = (&path, &now);
        let writers: Vec<_> =
            (0..WRITERS).map(|me| scope.spawn(move || write_and_read(path, me, now))).collect();
        scope.spawn(move || {
            let mut dice = Dice(4711);
            while writers.iter().any(|writer| !writer.is_finished()) {
                vanish(path, &mut dice);
            }
        });
    });
    running.stop().unwrap();
    assert_eq!(open.load(SeqCst), 0, "disks that were opened and never closed, or closed twice");
}
