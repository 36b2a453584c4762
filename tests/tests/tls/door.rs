// SPDX-License-Identifier: BSD-3-Clause
//! A port at which TLS begins at once, for programs that know nothing of NBD.

use std::fs::File;
use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::thread::{self, JoinHandle};

use nbdkit_tests::files::scratch;
use nbdkit_tests::raw::{opt, option};
use nbdkit_tests::{Output, Server, run_with};

use crate::client::agreed;

/// Behind it somebody has asked the server for TLS.
pub struct Door {
    pub port: u16,
    relay: JoinHandle<()>,
}

impl Door {
    pub fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket = agreed(server).into_socket();
        let relay = thread::spawn(move || {
            let (peer, _) = listener.accept().unwrap();
            // A Unix stream only by type.
            let (mut peer_in, mut peer_out): (TcpStream, TcpStream) = (peer.try_clone().unwrap(), peer);
            let (mut server_in, mut server_out) = (socket.try_clone().unwrap(), socket);
            let up = thread::spawn(move || {
                let _ = io::copy(&mut peer_in, &mut server_out);
                let _ = server_out.shutdown(Shutdown::Write);
            });
            let _ = io::copy(&mut server_in, &mut peer_out);
            let _ = peer_out.shutdown(Shutdown::Both);
            up.join().unwrap();
        });
        Door { port, relay }
    }

    /// Whoever went through has left.
    pub fn close(self) {
        self.relay.join().unwrap();
    }
}

/// Runs a program of TLS through a door; it says `NBD_OPT_ABORT` in TLS.
pub fn through(server: &Server, command: impl FnOnce(u16) -> Command) -> Output {
    let door = Door::to(server);
    let dir = scratch();
    let said = dir.path().join("said");
    File::create(&said).unwrap().write_all(&option(opt::ABORT, &[])).unwrap();
    let output = run_with(&mut command(door.port), File::open(&said).unwrap());
    door.close();
    output
}

/// The magic number of an option reply; what follows has bytes that programs for text lose.
pub const REPLY: &[u8] = &[0x00, 0x03, 0xe8, 0x89, 0x04, 0x55, 0x65, 0xa9];
