// SPDX-License-Identifier: BSD-3-Clause
//! Servers on a Unix domain socket: a [`Ram`] disk that answers in an order of its own, or whatever a test writes.

use nbd_proto::{
    Command, ExportInfo, Request,
    server::{Ask, Config, Decoded, Handshake, Session, Step},
    wire::{CommandFlags, ErrorCode, Rep, TransmissionFlags as F},
};
use std::{
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};
use tempfile::TempDir;

/// What is zero is a hole in these units.
pub const GRANULE: usize = 4096;
/// What a RAM disk can do, unless the test says otherwise.
pub const ALL: F = F::SEND_FLUSH
    .with(F::SEND_FUA)
    .with(F::SEND_TRIM)
    .with(F::SEND_WRITE_ZEROES)
    .with(F::SEND_FAST_ZERO)
    .with(F::SEND_CACHE)
    .with(F::CAN_MULTI_CONN);

/// Something that listens.
pub struct Peer {
    dir: TempDir,
}

impl Peer {
    /// Every connection is served by `serve`, in a thread of its own.
    pub fn new(serve: impl Fn(UnixStream) -> io::Result<()> + Send + Sync + 'static) -> Peer {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, serve) = (socket.unwrap(), serve.clone());
                // A client that goes away is no failure of the test; what it expected to see it checks itself.
                thread::spawn(move || serve(socket));
            }
        });
        Peer { dir }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub fn path(&self) -> String {
        self.socket().to_str().unwrap().to_owned()
    }
}

/// A disk in memory that all connections share.
#[derive(Clone)]
pub struct Ram {
    pub bytes: Arc<Mutex<Vec<u8>>>,
    pub config: Config,
    pub info: ExportInfo,
    /// What is asked of it, in order.
    pub asked: Arc<Mutex<Vec<Request>>>,
}

impl Ram {
    pub fn new(size: usize) -> Ram {
        Ram {
            bytes: Arc::new(Mutex::new(vec![0; size])),
            config: Config::default(),
            info: ExportInfo::new(size as u64, ALL),
            asked: Arc::default(),
        }
    }

    pub fn serve(self) -> Peer {
        Peer::new(move |mut socket| {
            let (session, rest) = negotiate(&mut socket, self.config.clone(), &self.info)?;
            self.transmit(&mut socket, &session, rest)
        })
    }

    /// Takes what has come, and answers from the last to the first.
    pub fn transmit(&self, socket: &mut UnixStream, session: &Session, mut input: Vec<u8>) -> io::Result<()> {
        loop {
            let mut answers = Vec::new();
            let mut used = 0;
            let wanted = loop {
                match session.decode(&input[used..]) {
                    Decoded::NeedInput(bytes) => break used + bytes,
                    Decoded::Request { request, consumed } => {
                        let end = used + consumed + request.payload() as usize;
                        let Some(payload) = input.get(used + consumed..end) else { break end };
                        self.asked.lock().unwrap().push(request);
                        answers.push(self.answer(session, &request, payload));
                        used = end;
                    }
                    Decoded::Refuse { refusal, consumed } => {
                        let end = used + consumed + refusal.payload_to_skip as usize;
                        if input.len() < end {
                            break end;
                        }
                        let mut out = Vec::new();
                        session.error(refusal.tag, refusal.error, refusal.message, &mut out);
                        answers.push(out);
                        used = end;
                    }
                    Decoded::Disconnect { .. } => return Ok(()),
                    Decoded::Fatal(why) => return Err(io::Error::other(why)),
                }
            };
            answers.reverse();
            socket.write_all(&answers.concat())?;
            input.drain(..used);
            receive(socket, &mut input, wanted - used)?;
        }
    }

    fn answer(&self, session: &Session, request: &Request, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut disk = self.bytes.lock().unwrap();
        let bytes = &mut disk[request.offset as usize..][..request.len as usize];
        match request.command {
            Command::Read => {
                read(session, request, bytes, &mut out);
                return out;
            }
            Command::BlockStatus => {
                let extents: Vec<_> = extents(bytes, request.offset).collect();
                for context in session.contexts_of(request) {
                    session.block_status(request, context.id, extents.iter().copied(), true, &mut out);
                }
                return out;
            }
            Command::Write => bytes.copy_from_slice(payload),
            Command::Trim | Command::WriteZeroes => bytes.fill(0),
            Command::Flush | Command::Cache => {}
        }
        session.ok(request.tag()).to_vec()
    }
}

/// In pieces from the last to the first, with the holes as holes, if the session has such replies.
fn read(session: &Session, request: &Request, bytes: &[u8], out: &mut Vec<u8>) {
    let chunks = session.chunks().filter(|_| !request.flags.contains(CommandFlags::DF));
    let Some(chunks) = chunks else {
        out.extend_from_slice(&session.read(request.tag(), bytes.len() as u32));
        return out.extend_from_slice(bytes);
    };
    let mut pieces = Vec::new();
    extents(bytes, request.offset).fold(0, |at, (len, status)| {
        pieces.push((at, len as usize, status));
        at + len as usize
    });
    let tag = request.tag();
    for (at, len, status) in pieces.into_iter().rev() {
        let offset = request.offset + at as u64;
        if status == 0 {
            out.extend_from_slice(&chunks.data(tag, offset, len as u32, false));
            out.extend_from_slice(&bytes[at..at + len]);
        } else {
            out.extend_from_slice(&chunks.hole(tag, offset, len as u32, false));
        }
    }
    out.extend_from_slice(&chunks.done(tag));
}

/// Lengths and status of the granules of `bytes`, which lie at `offset` of the disk.
fn extents(bytes: &[u8], offset: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let left = bytes.get(at..).filter(|left| !left.is_empty())?;
        let len = left.len().min(GRANULE - (offset as usize + at) % GRANULE);
        at += len;
        let zero = left[..len].iter().all(|byte| *byte == 0);
        Some((len as u64, if zero { 3 } else { 0 }))
    })
}

/// Up to the end of the handshake; with what has come behind it.
pub fn negotiate(
    socket: &mut UnixStream,
    config: Config,
    info: &ExportInfo,
) -> io::Result<(Session, Vec<u8>)> {
    let mut handshake = Handshake::new(config);
    let mut rest = Vec::new();
    loop {
        match handshake.step() {
            Step::NeedInput if rest.is_empty() => {
                if receive(socket, &mut rest, 1).is_err() {
                    handshake.eof();
                }
            }
            Step::NeedInput => drop(rest.drain(..handshake.feed(&rest))),
            Step::Send => socket.write_all(&handshake.take_output())?,
            Step::Ask(Ask::List) => {
                handshake.list_export("", "a disk in memory");
                handshake.list_done();
            }
            Step::Ask(Ask::Contexts { .. }) => handshake.contexts(&["base:allocation"]),
            Step::Ask(Ask::Info { name } | Ask::Go { name } | Ask::ExportName { name }) => match &*name {
                "" => handshake.open(info.clone()),
                _ => handshake.refuse(Rep::ERR_UNKNOWN, "there is\nno such export"),
            },
            Step::StartTls => return Err(io::Error::other("TLS was not offered")),
            Step::Done(session) => return Ok((session, rest)),
            Step::Abort(why) => return Err(io::Error::other(why)),
        }
    }
}

/// Reads until there are `wanted` bytes.
pub fn receive(socket: &mut UnixStream, input: &mut Vec<u8>, wanted: usize) -> io::Result<()> {
    let mut buf = vec![0; 64 << 10];
    while input.len() < wanted {
        match socket.read(&mut buf)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => input.extend_from_slice(&buf[..count]),
        }
    }
    Ok(())
}

/// The next request of the client.
pub fn next_request(socket: &mut UnixStream, session: &Session, input: &mut Vec<u8>) -> io::Result<Request> {
    loop {
        match session.decode(input) {
            Decoded::NeedInput(bytes) => receive(socket, input, bytes)?,
            Decoded::Request { request, consumed } => {
                let end = consumed + request.payload() as usize;
                receive(socket, input, end)?;
                input.drain(..end);
                return Ok(request);
            }
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
    }
}

/// An error of the disk that the client is to be told.
pub fn error(session: &Session, request: &Request, code: ErrorCode, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    session.error(request.tag(), code, message, &mut out);
    out
}
