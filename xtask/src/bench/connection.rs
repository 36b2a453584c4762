// SPDX-License-Identifier: BSD-3-Clause
//! A connection to a server under test: a blocking socket, the handshake, and a buffer for what comes.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nbd_proto::client::{Config, Handshake, Session, Step, Tls};

use super::secure::Secured;
use crate::process::{Context, Result};

/// A server that says nothing for so long hangs.
const HANG: Duration = Duration::from_secs(60);
/// Bytes taken from the socket at once: many small replies, and still in the cache of the core.
const INBOX: usize = 256 << 10;

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Address {
    Unix(PathBuf),
    /// A Unix domain socket and TLS, with the certificates of a folder.
    Tls {
        socket: PathBuf,
        certificates: PathBuf,
    },
    /// A port of the loopback interface.
    Tcp(u16),
}

impl fmt::Display for Address {
    /// The NBD URI.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "nbd+unix:///?socket={}", path.display()),
            Address::Tls { socket, certificates } => {
                let (socket, certificates) = (socket.display(), certificates.display());
                write!(f, "nbds+unix:///?socket={socket}&tls-certificates={certificates}")
            }
            Address::Tcp(port) => write!(f, "nbd://127.0.0.1:{port}"),
        }
    }
}

/// Any socket, so that the load is the same code for both.
pub enum Stream {
    Unix(UnixStream),
    Tls(Box<Secured>),
    Tcp(TcpStream),
}

/// A session and its socket.
pub struct Connection {
    pub stream: Stream,
    pub session: Session,
    pub inbox: Inbox,
}

impl Connection {
    /// Opens the default export: structured replies, as the clients in use negotiate them, and no extended headers.
    pub fn open(address: &Address) -> Result<Connection> {
        Connection::over(Stream::connect(address).context(address)?, address)
    }

    /// As [`open`](Self::open), where the server at `address` has just been connected to.
    pub fn over(mut stream: Stream, address: &Address) -> Result<Connection> {
        let mut inbox = Inbox::new();
        let tls = if matches!(address, Address::Tls { .. }) { Tls::Required } else { Tls::Off };
        let mut handshake = Handshake::new(Config::new("").extended_headers(false).tls(tls));
        loop {
            match handshake.step() {
                Step::NeedInput => {
                    if inbox.bytes().is_empty() && inbox.fill(&mut stream).context(address)? == 0 {
                        handshake.eof();
                    }
                    let taken = handshake.feed(inbox.bytes());
                    inbox.consume(taken);
                }
                Step::Send => {
                    let sent = stream.write(handshake.output()).context(address)?;
                    handshake.sent(sent);
                }
                Step::Event(_) => {}
                Step::Done(session) => return Ok(Connection { stream, session, inbox }),
                Step::Failed(why) => return Err(format!("{address}: {why}").into()),
                Step::StartTls => {
                    stream = stream.secured(address)?;
                    handshake.tls_started();
                }
                step @ Step::Finished => {
                    return Err(format!("{address}: {step:?} in a handshake that asked for an export").into());
                }
            }
        }
    }
}

impl Drop for Connection {
    /// Says goodbye; a server that is gone does not mind.
    fn drop(&mut self) {
        let _ = self.stream.write_all(&self.session.disconnect());
    }
}

impl Stream {
    pub fn connect(address: &Address) -> io::Result<Stream> {
        Ok(match address {
            Address::Unix(path) | Address::Tls { socket: path, .. } => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(HANG))?;
                stream.set_write_timeout(Some(HANG))?;
                Stream::Unix(stream)
            }
            Address::Tcp(port) => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(HANG))?;
                stream.set_write_timeout(Some(HANG))?;
                Stream::Tcp(stream)
            }
        })
    }

    fn secured(self, address: &Address) -> Result<Stream> {
        match (self, address) {
            (Stream::Unix(socket), Address::Tls { certificates, .. }) => {
                Ok(Stream::Tls(Box::new(Secured::begin(socket, certificates)?)))
            }
            _ => Err(format!("{address}: TLS where none was asked for").into()),
        }
    }

    /// Sends all of the slices, in one call where the socket has the room.
    pub fn write_all_vectored(&mut self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        while !slices.is_empty() {
            match self.write_vectored(slices) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => IoSlice::advance_slices(&mut slices, sent),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.read(buf),
            Stream::Tls(stream) => stream.read(buf),
            Stream::Tcp(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.write(buf),
            Stream::Tls(stream) => stream.write(buf),
            Stream::Tcp(stream) => stream.write(buf),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.write_vectored(slices),
            Stream::Tls(stream) => stream.write_vectored(slices),
            Stream::Tcp(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What has come and was not looked at yet.
pub struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    fn new() -> Inbox {
        Inbox { buffer: vec![0; INBOX], start: 0, end: 0 }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Drops the first `count` of [`bytes`](Self::bytes), which are at least as many.
    pub fn consume(&mut self, count: usize) {
        self.start += count;
    }

    /// Reads once, as much as there is room for, and says how much came; 0 at the end. What is left from before, less
    /// than a block, moves to the front.
    pub fn fill(&mut self, stream: &mut Stream) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        loop {
            match stream.read(&mut self.buffer[self.end..]) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(e) => return Err(e),
            }
        }
    }
}
