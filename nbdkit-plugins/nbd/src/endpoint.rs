// SPDX-License-Identifier: BSD-3-Clause
//! [`Endpoint`]: where the server is, and a socket that is connected to it.

use async_io::Async;
use nbdkit_plugin::{Error, Op, Result};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    ffi::OsString,
    fmt, fs, io,
    net::ToSocketAddrs,
    os::{fd::RawFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// The port of NBD (IANA).
const PORT: u16 = 10809;
/// The longest path of a socket in bytes (`sun_path`, unix(7)), without its final zero.
const LONGEST_PATH: usize = 107;
/// A write of 256 KiB goes out in one piece; with the usual 208 KiB both sides take turns.
const SEND_BUFFER: usize = 2 << 20;

/// Where the server is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Endpoint {
    Unix(PathBuf),
    Tcp {
        host: String,
        port: u16,
    },
    Vsock {
        cid: u32,
        port: u32,
    },
    /// It is to be started.
    Command {
        program: PathBuf,
        args: Vec<OsString>,
    },
    /// It is connected already.
    SocketFd(RawFd),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
            Endpoint::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp { host, port } => write!(f, "{host}:{port}"),
            Endpoint::Vsock { cid, port } => write!(f, "vsock {cid}:{port}"),
            Endpoint::Command { program, .. } => write!(f, "{}", program.display()),
            Endpoint::SocketFd(fd) => write!(f, "socket-fd={fd}"),
        }
    }
}

impl Endpoint {
    /// Connects, to one address of the host after the other.
    ///
    /// # Errors
    /// The system's, of the last attempt; whoever reports it says where.
    pub(crate) async fn connect(&self) -> Result<Async<Socket>> {
        let mut last = Error::invalid("the host has no address");
        for address in self.addresses().await? {
            match connect(&address).await {
                Ok(socket) => return Ok(socket),
                Err(error) => last = Error::io(error, "connect"),
            }
        }
        Err(last)
    }

    async fn addresses(&self) -> Result<Vec<SockAddr>> {
        let failed = |error| Error::io(error, "connect");
        match self {
            Endpoint::Unix(path) => Ok(vec![SockAddr::unix(path).map_err(failed)?]),
            Endpoint::Vsock { cid, port } => Ok(vec![SockAddr::vsock(*cid, *port)]),
            Endpoint::Tcp { host, port } => {
                let (host, port) = (host.clone(), *port);
                // Resolvers take their time.
                let found = Op::blocking(move || Ok((host.as_str(), port).to_socket_addrs()?));
                Ok(found.await?.map(SockAddr::from).collect())
            }
            // They have no address; they are connected by other means.
            Endpoint::Command { .. } | Endpoint::SocketFd(_) => Ok(Vec::new()),
        }
    }
}

async fn connect(address: &SockAddr) -> io::Result<Async<Socket>> {
    let protocol = address.as_socket().map(|_| Protocol::TCP);
    let socket = Socket::new(address.domain(), Type::STREAM, protocol)?;
    socket.set_nonblocking(true)?;
    let result = socket.connect(address);
    let socket = adopt(socket)?;
    match result {
        Ok(()) => Ok(socket),
        // connect(2): writable once that is decided.
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {
            socket.writable().await?;
            match socket.get_ref().take_error()? {
                None => Ok(socket),
                Some(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Makes a socket, connected or about to be, one to wait for.
pub(crate) fn adopt(socket: Socket) -> io::Result<Async<Socket>> {
    match socket.domain() {
        // Requests are complete messages: waiting for more to say (Nagle) only delays them.
        Ok(Domain::IPV4 | Domain::IPV6) => drop(socket.set_tcp_nodelay(true)),
        // Many systems allow no more than they give: then it stays as it was.
        Ok(Domain::UNIX) => drop(socket.set_send_buffer_size(SEND_BUFFER)),
        _ => {}
    }
    Async::new(socket)
}

/// The path, if a socket can have it.
pub(crate) fn check_socket(path: &Path) -> Result<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() > LONGEST_PATH {
        return Err(Error::invalid(format!(
            "socket file name too large: {} has {} bytes, at most {LONGEST_PATH}",
            path.display(),
            bytes.len()
        )));
    }
    if bytes.first() == Some(&0) {
        return Ok(path.to_owned());
    }
    // The server leaves the user's directory later.
    std::path::absolute(path).map_err(|error| Error::io(error, format!("socket={}", path.display())))
}

/// The number of a port of TCP, which may be given by the name of its service (services(5)).
pub(crate) fn tcp_port(text: Option<&str>) -> Result<u16> {
    let Some(text) = text else { return Ok(PORT) };
    if let Ok(port) = text.parse() {
        return Ok(port);
    }
    let services = fs::read_to_string("/etc/services").unwrap_or_default();
    let port = services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (name, number) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
        (name == text || words.any(|alias| alias == text)).then(|| number.parse().ok())?
    });
    port.ok_or_else(|| {
        Error::invalid(format!(
            "port: unknown service '{text}', should be a number from 0 to 65535 or a name in /etc/services"
        ))
    })
}

/// The number of a port of vsock.
pub(crate) fn vsock_port(text: Option<&str>) -> Result<u32> {
    let Some(text) = text else { return Ok(PORT.into()) };
    text.parse().map_err(|_| {
        Error::invalid(format!(
            "port: could not parse number: \"{text}\": should be 0 to 4294967295 for vsock"
        ))
    })
}
