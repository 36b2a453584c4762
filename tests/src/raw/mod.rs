// SPDX-License-Identifier: BSD-3-Clause
//! An NBD client of plain bytes over a plain socket, which can also misbehave.

mod handshake;
mod numbers;
mod transmission;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

pub use handshake::{
    ACK, BOTH_FLAGS, Export, OptionReply, go_payload, greeting_flags, meta_payload, option, option_head,
};
pub use numbers::{chunk, cmd, err, flag, opt, rep};
pub use transmission::{Block, Chunk, Reply, extended, simple};

use crate::wait::HANG;

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port of 127.0.0.1.
    Tcp(u16),
}

/// How replies come, as negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// 16 bytes, then the data.
    Simple,
    /// Chunks of 20 bytes for reads and block status.
    Structured,
    /// Chunks of 32 bytes for everything, requests of 32 bytes.
    Extended,
}

/// One connection. All waiting is limited by [`HANG`].
pub struct Client {
    // A Unix stream only by type: reading, writing and shutting down are the same on any socket.
    socket: UnixStream,
    style: Style,
    cookie: u64,
    /// Bytes read from the socket so far.
    pub received: u64,
}

impl Client {
    /// Connects and says nothing.
    pub fn connect(address: &Address) -> io::Result<Self> {
        let socket: OwnedFd = match address {
            Address::Unix(path) => UnixStream::connect(path)?.into(),
            Address::Tcp(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_nodelay(true)?;
                stream.into()
            }
        };
        Client::over(socket)
    }

    /// A client on one end of an existing connection.
    pub fn over(socket: impl Into<OwnedFd>) -> io::Result<Self> {
        let socket = UnixStream::from(socket.into());
        socket.set_read_timeout(Some(HANG))?;
        socket.set_write_timeout(Some(HANG))?;
        Ok(Client { socket, style: Style::Simple, cookie: 0, received: 0 })
    }

    /// The socket, for somebody who speaks something else on it.
    pub fn into_socket(self) -> UnixStream {
        self.socket
    }

    /// The style of replies to expect from now on; the good handshakes set it by themselves.
    pub fn set_style(&mut self, style: Style) {
        self.style = style;
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Sends `len` zero bytes in pieces of 64 KiB.
    pub fn send_zeroes(&mut self, mut len: u64) -> io::Result<()> {
        let zeroes = [0; 64 << 10];
        while len > 0 {
            let piece = len.min(zeroes.len() as u64);
            self.send(&zeroes[..piece as usize])?;
            len -= piece;
        }
        Ok(())
    }

    /// Sends what the socket takes without waiting; returns how much of `bytes` that was.
    pub fn send_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_nonblocking(true)?;
        let result = self.socket.write(bytes);
        self.socket.set_nonblocking(false)?;
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// Receives exactly `len` bytes; give only lengths that were judged sane.
    pub fn recv(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.socket.read_exact(&mut bytes)?;
        self.received += len as u64;
        Ok(bytes)
    }

    /// Throws away everything until the server closes its side; returns how many bytes came.
    ///
    /// A reset is an end too: it is what a close with unread bytes looks like. Only silence is an error.
    pub fn drain(&mut self) -> io::Result<u64> {
        let mut buffer = vec![0; 64 << 10];
        let mut total = 0;
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Ok(total),
                Ok(n) => total += n as u64,
                Err(error) if is_closed(&error) => return Ok(total),
                Err(error) => return Err(error),
            }
        }
    }

    /// Panics unless the server closes the connection, whatever it sends before that.
    #[track_caller]
    pub fn assert_closed(&mut self, why: &str) {
        self.drain().unwrap_or_else(|error| panic!("{why}: the server keeps the connection ({error})"));
    }

    /// Says that no more bytes will come, and still reads.
    pub fn finish_sending(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Goes away in the rudest way there is: on TCP with a reset.
    pub fn reset(self) {
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        let _ =
            nix::sys::socket::setsockopt(&self.socket.as_fd(), nix::sys::socket::sockopt::Linger, &linger);
    }

    fn u16(&mut self) -> io::Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.socket.read_exact(&mut bytes)?;
        self.received += N as u64;
        Ok(bytes)
    }
}

/// Whether this is how a connection that the peer closed looks.
pub fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

/// An error of the peer's making: what came is not the protocol.
fn broken(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
