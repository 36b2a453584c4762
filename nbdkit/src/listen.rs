// SPDX-License-Identifier: BSD-3-Clause
//! Listening sockets: TCP on one or all addresses, Unix domain, AF_VSOCK.

use crate::{cli::Options, origin::Origin, wire::Wire};
use async_io::Async;
use nbdkit_plugin::{Error, Peer, Result};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    fs,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};
use vsock::{VMADDR_CID_ANY, VsockListener};

/// A socket that clients can connect to.
pub struct Listener(Socket);

/// All the sockets, and what to remove at the end.
pub struct Listeners {
    /// The sockets, bound and listening.
    pub sockets: Vec<Listener>,
    /// The port they listen on, if it is TCP or AF_VSOCK.
    pub port: Option<u32>,
    /// The directory made for `-U -`.
    pub directory: Option<TemporaryDirectory>,
}

/// How much of the replies a Unix socket holds, in bytes.
const SEND_BUFFER: usize = 2 << 20;
/// The port that IANA has assigned to NBD.
const NBD_PORT: u16 = 10809;

impl Listeners {
    /// Those that somebody else has bound.
    pub fn of(sockets: Vec<Listener>) -> Listeners {
        Listeners { sockets, port: None, directory: None }
    }

    /// A Unix domain socket at `path`, which must not exist.
    pub fn unix(path: &Path) -> Result<Listeners> {
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::AddrInUse => Error::io(
                error,
                format!(
                    "bind: {} (remove it if no server uses it, or choose another with -U)",
                    path.display()
                ),
            ),
            _ => Error::io(error, format!("bind: {}", path.display())),
        };
        let address = SockAddr::unix(path).map_err(failed)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
        socket.bind(&address).map_err(failed)?;
        socket.listen(libc::SOMAXCONN).map_err(failed)?;
        Ok(Listeners { sockets: vec![Listener(socket)], port: None, directory: None })
    }

    /// A Unix domain socket in a directory of its own: `-U -`. With its path.
    pub fn temporary() -> Result<(Listeners, PathBuf)> {
        let directory = TemporaryDirectory::create()?;
        let path = directory.0.join("socket");
        let mut listeners = Listeners::unix(&path)?;
        listeners.directory = Some(directory);
        Ok((listeners, path))
    }

    /// AF_VSOCK, for virtual machines of this host and the host of this virtual machine.
    pub fn vsock(port: Option<&str>) -> Result<Listeners> {
        let port = port.map_or(Ok(NBD_PORT.into()), |port| {
            port.parse::<u32>().map_err(|_| {
                Error::invalid(format!("-p: AF_VSOCK port '{port}' should be a number from 0 to 4294967295"))
            })
        })?;
        let listener = VsockListener::bind_with_cid_port(VMADDR_CID_ANY, port)
            .map_err(|error| Error::io(error, format!("bind: AF_VSOCK port {port}")))?;
        let socket = Socket::from(OwnedFd::from(listener));
        // The crate listens with a short queue; asking again makes it longer.
        socket.listen(libc::SOMAXCONN).map_err(|error| Error::io(error, "listen: AF_VSOCK"))?;
        let port = socket
            .local_addr()
            .ok()
            .and_then(|address| address.as_vsock_address())
            .map_or(port, |(_, port)| port);
        Ok(Listeners { sockets: vec![Listener(socket)], port: Some(port), directory: None })
    }

    /// TCP, as the options ask: `-i`, `-p`, `-4`, `-6`.
    pub fn tcp(options: &Options) -> Result<Listeners> {
        let port = options.port.as_deref().map_or(Ok(NBD_PORT), service)?;
        let (mut sockets, mut bound, mut last) = (Vec::new(), None, None);
        for mut address in addresses(options, port)? {
            // With port 0 the first socket chooses for all.
            if let (0, Some(port)) = (address.port(), bound) {
                address.set_port(port);
            }
            match listen(address) {
                Ok(socket) => {
                    bound = bound.or(socket.local_addr().ok().and_then(|a| a.as_socket()).map(|a| a.port()));
                    sockets.push(Listener(socket));
                }
                // A machine without IPv6 serves IPv4, and the other way round.
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)) =>
                {
                    last = Some((address, error));
                }
                Err(error) => return Err(cannot_bind(address, error)),
            }
        }
        match (sockets.is_empty(), last) {
            (true, Some((address, error))) => Err(cannot_bind(address, error)),
            (true, None) => Err(Error::invalid("no address to listen on: check -i, -4 and -6")),
            _ => Ok(Listeners { sockets, port: bound.map(u32::from), directory: None }),
        }
    }
}

fn cannot_bind(address: SocketAddr, error: io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::AddrInUse => " (another server is there: choose another port with -p)",
        ErrorKind::PermissionDenied => " (ports below 1024 need privileges: choose another with -p)",
        _ => "",
    };
    Error::io(error, format!("bind: {address}{hint}"))
}

/// `-p` takes a number or the name of a service.
fn service(port: &str) -> Result<u16> {
    if let Ok(port) = port.parse() {
        return Ok(port);
    }
    let known = fs::read_to_string("/etc/services").unwrap_or_default();
    known
        .lines()
        .filter_map(|line| line.split('#').next())
        .find_map(|line| {
            let mut words = line.split_whitespace();
            let (name, port_and_protocol) = (words.next()?, words.next()?);
            let named = name == port || words.any(|alias| alias == port);
            port_and_protocol.strip_suffix("/tcp").filter(|_| named)?.parse().ok()
        })
        .ok_or_else(|| Error::invalid(format!("-p: unknown service '{port}', should be a port number from 0 to 65535 or a name in /etc/services")))
}

fn addresses(options: &Options, port: u16) -> Result<Vec<SocketAddr>> {
    let wanted = |address: &SocketAddr| match address {
        SocketAddr::V4(_) => !options.ipv6_only,
        SocketAddr::V6(_) => !options.ipv4_only,
    };
    let all: Vec<SocketAddr> = match &options.ipaddr {
        None => vec![
            SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
            SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
        ],
        Some(host) => (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|error| Error::io(error, format!("getaddrinfo: {host}: {port}")))?
            .collect(),
    };
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in all.into_iter().filter(wanted) {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    Ok(unique)
}

fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server gets its port back at once.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(libc::SOMAXCONN)?;
    Ok(socket)
}

impl Listener {
    /// One that somebody else has bound.
    pub fn of(socket: Socket) -> Listener {
        Listener(socket)
    }

    /// Ready to be waited for. Only after the fork: this may start the thread that watches sockets.
    pub fn start(self, keepalive: bool) -> Result<Accepting> {
        let socket = Async::new(self.0).map_err(|error| Error::io(error, "listening socket"))?;
        Ok(Accepting { socket, keepalive })
    }
}

/// A socket that clients are accepted from.
pub struct Accepting {
    socket: Async<Socket>,
    keepalive: bool,
}

impl Accepting {
    /// The next client. Errors of one client's connection are not errors of the socket, and passed over.
    pub async fn accept(&self) -> io::Result<(Wire, Origin)> {
        loop {
            let accepted = self.socket.read_with(Socket::accept).await.and_then(|(socket, address)| {
                let origin = Origin::accepted(&socket, &address);
                self.tune(&socket, origin.peer);
                Ok((Wire::socket(socket)?, origin))
            });
            match accepted {
                Ok(client) => return Ok(client),
                Err(error) if passing(&error) => {}
                // Out of descriptors, watches or memory: clients wait in the queue until some connection ends.
                Err(error) if out_of_room(&error) => {
                    async_io::Timer::after(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn tune(&self, socket: &Socket, peer: Peer) {
        match peer {
            Peer::Ip(_) => {
                // Replies are complete messages: waiting for more to say (Nagle) only delays them.
                let _ = socket.set_tcp_nodelay(true);
                if self.keepalive {
                    let _ = socket.set_keepalive(true);
                }
            }
            Peer::Unix => {
                // A reply of 256 KiB goes out in one piece; with the usual 208 KiB client and server take turns.
                // Many systems allow no more than that (net.core.wmem_max): then it stays as it was.
                let _ = socket.set_send_buffer_size(SEND_BUFFER);
            }
            _ => {}
        }
    }
}

/// accept(2) passes on errors of the connection it took from the queue.
fn passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EINTR
                | libc::ENETDOWN
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EOPNOTSUPP
                | libc::EPERM
        )
    )
}

fn out_of_room(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC)
    )
}

/// A private directory for a socket, removed with it in the end.
pub struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    /// `/tmp/nbdkitXXXXXX`, mode 0700: other users cannot connect.
    fn create() -> Result<TemporaryDirectory> {
        nix::unistd::mkdtemp("/tmp/nbdkitXXXXXX")
            .map(TemporaryDirectory)
            .map_err(|errno| Error::io(errno.into(), "mkdtemp: /tmp/nbdkitXXXXXX"))
    }

    /// Removes it, unless somebody else has. Not in `Drop`: of the two processes that a fork leaves, one may have to
    /// leave it to the other.
    pub fn remove(self) {
        let _ = fs::remove_file(self.0.join("socket"));
        let _ = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_numbers_or_names() {
        assert_eq!(service("10809").unwrap(), 10809);
        assert_eq!(service("0").unwrap(), 0);
        assert!(service("70000").is_err());
        assert!(service("no-such-service").is_err());
    }
}
