// SPDX-License-Identifier: BSD-3-Clause
//! [`Origin`]: what the kernel knows of the other end of a socket.

use nbdkit_plugin::{Credentials, Peer};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use socket2::{SockAddr, SockRef};
use std::{ffi::OsString, os::fd::AsFd};

/// Where a client comes from, and which process it is if that is on this machine.
pub struct Origin {
    /// Its address.
    pub peer: Peer,
    /// The process behind a Unix domain socket.
    pub credentials: Option<Credentials>,
    /// Its label under a security module, if one is active.
    pub security_label: Option<String>,
}

impl Origin {
    /// Of the client that was accepted on `socket` from `address`.
    pub fn accepted(socket: &impl AsFd, address: &SockAddr) -> Origin {
        let peer = peer(address);
        let unix = peer == Peer::Unix;
        Origin {
            peer,
            credentials: unix.then(|| credentials(socket)).flatten(),
            security_label: unix.then(|| security_label(socket)).flatten(),
        }
    }

    /// Of whoever is at the other end of `fd`, which need not be a socket.
    pub fn of(fd: &impl AsFd) -> Origin {
        match SockRef::from(fd).peer_addr() {
            Ok(address) => Origin::accepted(fd, &address),
            Err(_) => Origin { peer: Peer::Other, credentials: None, security_label: None },
        }
    }
}

fn peer(address: &SockAddr) -> Peer {
    if let Some(address) = address.as_socket() {
        return Peer::Ip(address);
    }
    match address.as_vsock_address() {
        Some((cid, port)) => Peer::Vsock { cid, port },
        None if address.is_unix() => Peer::Unix,
        None => Peer::Other,
    }
}

fn credentials(socket: &impl AsFd) -> Option<Credentials> {
    let found = getsockopt(socket, PeerCredentials).ok()?;
    Some(Credentials { pid: found.pid(), uid: found.uid(), gid: found.gid() })
}

/// Labels are at most a page, and in practice much shorter; one that is longer is not known.
#[derive(Clone, Copy)]
struct PeerLabel;
nix::getsockopt_impl!(
    PeerLabel,
    libc::SOL_SOCKET,
    libc::SO_PEERSEC,
    OsString,
    nix::sys::socket::sockopt::GetOsString<[u8; 4096]>
);

fn security_label(socket: &impl AsFd) -> Option<String> {
    let label = getsockopt(socket, PeerLabel).ok()?.into_string().ok()?;
    (!label.is_empty()).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        net::{TcpListener, TcpStream},
        os::unix::net::UnixStream,
    };

    #[test]
    fn a_unix_peer_has_a_process() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let origin = Origin::of(&ours);
        assert_eq!(origin.peer, Peer::Unix);
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let pid = std::process::id().cast_signed();
        assert_eq!(origin.credentials, Some(Credentials { pid, uid, gid }));
        assert!(origin.security_label.is_none_or(|label| !label.is_empty() && !label.contains('\0')));
    }

    #[test]
    fn others_have_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, address) = listener.accept().unwrap();
        let origin = Origin::of(&socket);
        assert_eq!((origin.peer, address), (Peer::Ip(address), client.local_addr().unwrap()));
        assert!(origin.credentials.is_none() && origin.security_label.is_none());

        let (pipe, _writer) = io::pipe().unwrap();
        assert_eq!(Origin::of(&pipe).peer, Peer::Other);
    }
}
