// SPDX-License-Identifier: BSD-3-Clause
//! A whole NBD server with blocking sockets: one RAM disk for everybody.
//!
//! ```text
//! cargo run -p nbd-proto --example server -- unix:/tmp/ram.sock 67108864
//! cargo run -p nbd-proto --example server -- localhost:10809 1000000000 simple
//! ```
//!
//! The last argument may hold the server back to `structured`, `simple` or `oldstyle`.

use std::io::{self, Read, Result, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::thread;

use nbd_proto::server::{Ask, Config, Decoded, Handshake, Session, Step, Style};
use nbd_proto::wire::{ErrorCode, Rep, TransmissionFlags as F};
use nbd_proto::{Command, ExportInfo, Request};

type Disk = Arc<Mutex<Vec<u8>>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, size, style @ ..] = &args[..] else {
        return Err(io::Error::other("usage: server unix:PATH|HOST:PORT SIZE [structured|simple|oldstyle]"));
    };
    let config = match style.first().map(String::as_str) {
        Some("structured") => Config::default().extended_headers(false),
        Some("simple") => Config::default().extended_headers(false).structured_replies(false),
        Some("oldstyle") => Config::default().style(Style::Oldstyle),
        _ => Config::default(),
    };
    let size = size.parse().map_err(|_| io::Error::other(format!("{size} is not a number of bytes")))?;
    let disk: Disk = Arc::new(Mutex::new(vec![0; size]));
    if let Some(path) = address.strip_prefix("unix:") {
        let listener = UnixListener::bind(path)?;
        println!("listening on {address}");
        return listener.incoming().try_for_each(|socket| serve(socket?, config.clone(), disk.clone()));
    }
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    listener.incoming().try_for_each(|socket| serve(socket?, config.clone(), disk.clone()))
}

/// Serves one client in a thread of its own.
fn serve(mut socket: impl Read + Write + Send + 'static, config: Config, disk: Disk) -> Result<()> {
    thread::spawn(move || {
        let mut rest = Vec::new();
        let size = disk.lock().map_or(0, |disk| disk.len() as u64);
        let served = negotiate(&mut socket, config, size, &mut rest)
            .and_then(|session| transmit(&mut socket, &session, &disk, rest));
        served.unwrap_or_else(|why| eprintln!("server: {why}"));
    });
    Ok(())
}

/// Returns the session; what was read but not used stays in `rest`.
fn negotiate<S: Read + Write>(
    socket: &mut S,
    config: Config,
    size: u64,
    rest: &mut Vec<u8>,
) -> Result<Session> {
    let mut handshake = Handshake::new(config);
    let can = F::SEND_FLUSH | F::SEND_FUA | F::SEND_TRIM | F::SEND_WRITE_ZEROES | F::CAN_MULTI_CONN;
    loop {
        match handshake.step() {
            Step::NeedInput if rest.is_empty() => {
                let mut buffer = [0; 4096];
                match socket.read(&mut buffer)? {
                    0 => handshake.eof(),
                    n => rest.extend_from_slice(&buffer[..n]),
                }
            }
            Step::NeedInput => drop(rest.drain(..handshake.feed(rest))),
            Step::Send => socket.write_all(&handshake.take_output())?,
            Step::Ask(Ask::List) => {
                handshake.list_export("", "a RAM disk");
                handshake.list_done();
            }
            Step::Ask(Ask::Contexts { .. }) => handshake.contexts(&["base:allocation"]),
            Step::Ask(Ask::Info { name } | Ask::Go { name } | Ask::ExportName { name }) => {
                match name.as_str() {
                    "" => handshake.open(ExportInfo::new(size, can)),
                    name => {
                        handshake.refuse(Rep::ERR_UNKNOWN, &format!("there is no export '{name}', only ''"))
                    }
                }
            }
            Step::StartTls => return Err(io::Error::other("TLS was not offered")),
            Step::Done(session) => return Ok(session),
            Step::Abort(why) => return Err(io::Error::other(why)),
        }
    }
}

fn transmit(socket: &mut (impl Read + Write), session: &Session, disk: &Disk, rest: Vec<u8>) -> Result<()> {
    let mut input = io::Cursor::new(rest).chain(&mut *socket);
    let mut head = Vec::new();
    loop {
        let mut out = Vec::new();
        match session.decode(&head) {
            Decoded::NeedInput(n) => {
                let have = head.len();
                head.resize(n, 0);
                input.read_exact(&mut head[have..])?;
                continue;
            }
            Decoded::Request { request, .. } => {
                let mut payload = vec![0; request.payload() as usize];
                input.read_exact(&mut payload)?;
                answer(session, &request, &payload, disk, &mut out);
            }
            Decoded::Refuse { refusal, .. } => {
                io::copy(&mut input.by_ref().take(refusal.payload_to_skip.into()), &mut io::sink())?;
                session.error(refusal.tag, refusal.error, refusal.message, &mut out);
            }
            Decoded::Disconnect { .. } => return Ok(()),
            Decoded::Fatal(why) => return Err(io::Error::other(why)),
        }
        head.clear();
        input.get_mut().1.write_all(&out)?;
    }
}

/// The whole reply. The range of a request has been checked against the export.
fn answer(session: &Session, request: &Request, payload: &[u8], disk: &Disk, out: &mut Vec<u8>) {
    let Ok(mut disk) = disk.lock() else {
        return session.error(request.tag(), ErrorCode::EIO, "broken", out);
    };
    let bytes = &mut disk[request.offset as usize..][..request.len as usize];
    match request.command {
        Command::Read => {
            out.extend_from_slice(&session.read(request.tag(), bytes.len() as u32));
            return out.extend_from_slice(bytes);
        }
        Command::BlockStatus => {
            // There is only one context, so its chunk is the last.
            for context in session.contexts_of(request) {
                session.block_status(request, context.id, [(request.len, 0)], true, out);
            }
            return;
        }
        Command::Write => bytes.copy_from_slice(payload),
        Command::Trim | Command::WriteZeroes => bytes.fill(0),
        Command::Flush | Command::Cache => {}
    }
    out.extend_from_slice(&session.ok(request.tag()));
}
