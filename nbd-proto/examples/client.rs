// SPDX-License-Identifier: BSD-3-Clause
//! A whole NBD client with a blocking socket.
//!
//! ```text
//! cargo run -p nbd-proto --example client -- unix:/tmp/ram.sock '' info
//! cargo run -p nbd-proto --example client -- unix:/tmp/ram.sock '' read 0 512 | hexdump -C
//! echo hello | cargo run -p nbd-proto --example client -- localhost:10809 '' write 4096
//! cargo run -p nbd-proto --example client -- localhost:10809 '' map
//! cargo run -p nbd-proto --example client -- localhost:10809 '' list
//! ```
//!
//! A last argument `structured` or `simple` holds the client back.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use nbd_proto::client::{Config, Decoded, Event, Goal, Handshake, Reply, Session, Step};
use nbd_proto::{Command, Request};

trait Socket: Read + Write {}
impl<S: Read + Write> Socket for S {}

fn main() -> io::Result<()> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let held_back = args.last().is_some_and(|last| last == "structured" || last == "simple");
    let mode = if held_back { args.pop() } else { None };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [address, export, command @ ..] = &args[..] else {
        return Err(io::Error::other(
            "usage: client unix:PATH|HOST:PORT EXPORT info|list|map|read OFFSET LEN|write OFFSET",
        ));
    };
    let mut socket: Box<dyn Socket> = match address.strip_prefix("unix:") {
        Some(path) => Box::new(UnixStream::connect(path)?),
        None => Box::new(TcpStream::connect(address)?),
    };
    let goal = if *command == ["list"] { Goal::List } else { Goal::Go };
    let config = Config::new(*export)
        .goal(goal)
        .context("base:allocation")
        .extended_headers(mode.is_none())
        .structured_replies(mode.as_deref() != Some("simple"));
    let Some(session) = negotiate(&mut socket, config)? else { return Ok(()) };
    let mut data = Vec::new();
    match command {
        ["info"] => println!("{} bytes, {}, {}", session.size(), session.mode(), session.flags()),
        ["read", offset, len] => {
            request(&mut socket, &session, Command::Read, number(offset)?, number(len)?, &mut data)?;
            io::stdout().write_all(&data)?;
        }
        ["write", offset] => {
            io::stdin().read_to_end(&mut data)?;
            let len = data.len() as u64;
            request(&mut socket, &session, Command::Write, number(offset)?, len, &mut data)?;
        }
        ["map"] => request(&mut socket, &session, Command::BlockStatus, 0, session.size(), &mut data)?,
        _ => return Err(io::Error::other(format!("unknown command {command:?}"))),
    }
    socket.write_all(&session.disconnect())
}

fn number(text: &str) -> io::Result<u64> {
    text.parse().map_err(|_| io::Error::other(format!("{text} is not a number of bytes")))
}

/// Returns the session, unless the goal was only to list.
fn negotiate(socket: &mut dyn Socket, config: Config) -> io::Result<Option<Session>> {
    let mut handshake = Handshake::new(config);
    loop {
        match handshake.step() {
            Step::NeedInput => {
                // One byte at a time is slow but leaves the first replies in the socket.
                let mut byte = [0];
                match socket.read(&mut byte)? {
                    0 => handshake.eof(),
                    _ => drop(handshake.feed(&byte)),
                }
            }
            Step::Send => socket.write_all(&handshake.take_output())?,
            Step::Event(Event::Export { name, description }) => println!("{name}\t{description}"),
            Step::Event(event) => eprintln!("client: {event:?}"),
            Step::StartTls => return Err(io::Error::other("TLS was not wanted")),
            Step::Done(session) => return Ok(Some(session)),
            Step::Finished => return Ok(None),
            Step::Failed(why) => return Err(io::Error::other(why)),
        }
    }
}

/// Sends a request with `data` if it is a write, and waits for all of the reply; a read leaves its data in
/// `data`.
fn request(
    socket: &mut dyn Socket,
    session: &Session,
    command: Command,
    offset: u64,
    len: u64,
    data: &mut Vec<u8>,
) -> io::Result<()> {
    let request = Request::new(1, command, offset, len);
    socket.write_all(&session.encode(&request).map_err(io::Error::other)?)?;
    match command {
        Command::Write => socket.write_all(data)?,
        Command::Read => data.resize(len as usize, 0),
        _ => {}
    }
    let (mut input, mut failed, mut missing) = (Vec::new(), None, data.len() as u64);
    loop {
        let (reply, last) = match session.decode(&input, |cookie| (cookie == 1).then_some(request)) {
            Decoded::NeedInput(n) => {
                let have = input.len();
                input.resize(n, 0);
                socket.read_exact(&mut input[have..])?;
                continue;
            }
            Decoded::Reply { reply, last, .. } => (reply, last),
            Decoded::Fatal(why) => return Err(io::Error::other(why)),
        };
        match reply {
            Reply::Done => {}
            Reply::Error { code, message, .. } => {
                failed = Some(io::Error::other(format!("{code}: {message}")))
            }
            Reply::Data { offset: at, len } => {
                socket.read_exact(&mut data[(at - offset) as usize..][..len as usize])?;
                missing = missing.saturating_sub(len.into());
            }
            Reply::Hole { len, .. } => missing = missing.saturating_sub(len.into()),
            Reply::Status { extents, .. } => {
                extents.fold(offset, |at, (len, flags)| {
                    println!("{at}\t{len}\t{flags}");
                    at + len
                });
            }
        }
        input.clear();
        match failed {
            Some(why) if last => return Err(why),
            None if last && command == Command::Read && missing != 0 => {
                return Err(io::Error::other("data is missing"));
            }
            None if last => return Ok(()),
            _ => {}
        }
    }
}
