// SPDX-License-Identifier: BSD-3-Clause
//! A small server that can lie, and whether the load notices.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use nbd_proto::server::{Config, Decoded, Handshake, Session, Step};
use nbd_proto::wire::{ErrorCode, TransmissionFlags};
use nbd_proto::{Command, ExportInfo, Request};

use super::connection::{Address, Connection};
use super::content::Content;
use super::load::{self, Done, Job, Until};
use super::walk::Order;
use crate::process::{Failure, Result};

const SIZE: u64 = 1 << 20;

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    Nothing,
    /// Reads come in odd pieces, in the wrong order: allowed.
    Pieces,
    /// The byte at this offset is turned over, whenever it is read.
    WrongByte(usize),
    /// A read answers with the data of the block after it.
    WrongBlock,
    /// Writes are forgotten.
    Forgets,
    /// A read comes with half its data.
    Half,
    /// A read is said to be a hole.
    Hole,
    /// A read fails.
    Error,
    /// The connection ends after the first requests.
    HangsUp,
}

#[test]
fn honest_servers_pass() {
    for lie in [Lie::Nothing, Lie::Pieces] {
        for (depth, size) in [(1, 4096), (16, 4096), (3, 65536)] {
            let done = run(lie, depth, size).unwrap();
            assert_eq!(done.requests, SIZE / size as u64 * 2, "{lie:?}");
        }
    }
}

#[test]
fn lies_are_noticed() {
    let lies = [
        (Lie::WrongByte(8192), "wrong data at 8192"),
        (Lie::WrongByte(12287), "wrong data at 12287"),
        (Lie::WrongBlock, "wrong data at "),
        (Lie::Forgets, "wrong data at "),
        (Lie::Half, "2048 bytes of data instead of 4096"),
        (Lie::Hole, "wrong data at "),
        (Lie::Error, "NBD_EIO broken"),
        // Noticed while sending or while waiting, whichever comes first.
        (Lie::HangsUp, ""),
    ];
    for (lie, expected) in lies {
        match run(lie, 4, 4096) {
            Err(Failure::Because(why)) => assert!(why.contains(expected), "{lie:?}: {why}"),
            other => panic!("{lie:?}: {other:?}"),
        }
    }
}

/// Writes the whole disk, and reads it twice.
fn run(lie: Lie, depth: usize, size: usize) -> Result<Done> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || serve(listener.accept().unwrap().0, lie));
    let mut connections = [Connection::open(&Address::Unix(path)).unwrap()];
    let content = Content::new(SIZE);
    let requests = SIZE / size as u64;
    let job = |command| Job { command, order: Order::Random, size, depth, connections: 1 };
    let written = load::run(&mut connections, &content, job(Command::Write), Until::Requests(requests), 0);
    let read = written.and_then(|_| {
        load::run(&mut connections, &content, job(Command::Read), Until::Requests(2 * requests), 1)
    });
    drop(connections);
    server.join().unwrap();
    read
}

fn serve(mut stream: UnixStream, lie: Lie) {
    let (mut input, mut disk) = (Vec::new(), vec![0; SIZE as usize]);
    let session = negotiate(&mut stream, &mut input);
    loop {
        match session.decode(&input) {
            Decoded::NeedInput(_) => {
                if !receive(&mut stream, &mut input) {
                    return;
                }
            }
            Decoded::Request { request, consumed } => {
                let end = consumed + request.payload() as usize;
                while input.len() < end {
                    assert!(receive(&mut stream, &mut input));
                }
                let reply = answer(&session, &request, &input[consumed..end], &mut disk, lie);
                // A client that has noticed is gone.
                if stream.write_all(&reply).is_err() || lie == Lie::HangsUp {
                    return;
                }
                input.drain(..end);
            }
            Decoded::Disconnect { .. } => return,
            other => panic!("{other:?}"),
        }
    }
}

fn answer(session: &Session, request: &Request, payload: &[u8], disk: &mut [u8], lie: Lie) -> Vec<u8> {
    let (tag, at, len) = (request.tag(), request.offset as usize, request.len as usize);
    if request.command == Command::Write {
        if lie != Lie::Forgets {
            disk[at..at + len].copy_from_slice(payload);
        }
        return session.ok(tag).to_vec();
    }
    let mut data = disk[at..at + len].to_vec();
    let chunks = session.chunks().unwrap();
    let piece = |from: usize, to: usize, last| {
        let head = chunks.data(tag, (at + from) as u64, (to - from) as u32, last);
        [&head, &disk[at + from..at + to]].concat()
    };
    match lie {
        Lie::Pieces => {
            return [piece(len - 5000 % len, len, false), piece(0, len - 5000 % len, true)].concat();
        }
        Lie::Half => return piece(0, len / 2, true),
        Lie::Hole => return chunks.hole(tag, request.offset, len as u32, true).to_vec(),
        Lie::Error => {
            let mut out = Vec::new();
            session.error(tag, ErrorCode::EIO, "broken", &mut out);
            return out;
        }
        Lie::WrongByte(wrong) if (at..at + len).contains(&wrong) => data[wrong - at] ^= 1,
        Lie::WrongBlock => data.copy_from_slice(&disk[(at + 4096) % SIZE as usize..][..len]),
        _ => {}
    }
    [&session.read(tag, len as u32), &data[..]].concat()
}

fn negotiate(stream: &mut UnixStream, input: &mut Vec<u8>) -> Session {
    let mut handshake = Handshake::new(Config::default());
    loop {
        match handshake.step() {
            Step::NeedInput => {
                if input.is_empty() {
                    assert!(receive(stream, input));
                }
                let taken = handshake.feed(input);
                input.drain(..taken);
            }
            Step::Send => stream.write_all(&handshake.take_output()).unwrap(),
            Step::Ask(_) => handshake.open(ExportInfo::new(SIZE, TransmissionFlags::NONE)),
            Step::Done(session) => return session,
            other => panic!("{other:?}"),
        }
    }
}

/// Whether anything came.
fn receive(stream: &mut UnixStream, input: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 65536];
    let count = stream.read(&mut buffer).unwrap_or(0);
    input.extend_from_slice(&buffer[..count]);
    count > 0
}
