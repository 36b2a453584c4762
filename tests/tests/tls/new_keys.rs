// SPDX-License-Identifier: BSD-3-Clause
//! Clients that take new keys in the middle of a connection (RFC 8446, section 4.6.3).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use nbdkit_tests::files::scratch;
use nbdkit_tests::raw::{opt, option};
use nbdkit_tests::{Launch, Server, tool, until};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
use tempfile::TempDir;

use crate::client::agreed;
use crate::credentials::Folder;
use crate::door::{Door, REPLY};

/// `openssl s_client` that shows each message, and takes its commands from us.
struct Client {
    child: Child,
    stdin: ChildStdin,
    dir: TempDir,
    door: Door,
}

impl Client {
    fn start(server: &Server, args: &[&str]) -> Self {
        let (door, dir) = (Door::to(server), scratch());
        let mut command: Command = tool("openssl");
        command
            .args(["s_client", "-tls1_3", "-msg", "-connect", &format!("127.0.0.1:{}", door.port)])
            .args(args);
        let said = File::create(dir.path().join("said")).unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(said).stderr(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        Client { child, stdin, dir, door }
    }

    fn said(&self) -> PathBuf {
        self.dir.path().join("said")
    }

    /// How many updates went in this direction, `>>>` or `<<<`.
    fn updates(&self, direction: &str) -> usize {
        let text = String::from_utf8_lossy(&fs::read(self.said()).unwrap()).into_owned();
        text.lines().filter(|line| line.starts_with(direction) && line.ends_with("KeyUpdate")).count()
    }

    fn replies(&self) -> usize {
        fs::read(self.said()).unwrap().windows(REPLY.len()).filter(|some| *some == REPLY).count()
    }

    fn until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        until(what, || condition(self) || self.child.try_wait().unwrap().is_some());
        let said = fs::read(self.said()).unwrap();
        assert!(condition(self), "{what}: {}", String::from_utf8_lossy(&said));
    }

    /// Takes new keys, by a command of the program.
    fn update(&mut self, command: &[u8]) {
        let before = self.updates(">>>");
        self.stdin.write_all(command).unwrap();
        self.until("the keys of the client", |client| client.updates(">>>") > before);
    }

    /// Says something that is answered.
    fn ask(&mut self) {
        let before = self.replies();
        self.stdin.write_all(&option(0x77, &[])).unwrap();
        self.until("the answer", |client| client.replies() > before);
    }

    fn end(mut self) {
        self.stdin.write_all(&option(opt::ABORT, &[])).unwrap();
        drop(self.stdin);
        until("its end", || self.child.try_wait().unwrap().is_some());
        self.door.close();
    }
}

fn new_keys(server: &Server, args: &[&str]) {
    let mut client = Client::start(server, args);
    client.ask();
    // Its own alone: there is nothing to answer.
    client.update(b"k\n");
    client.ask();
    assert_eq!(client.updates("<<<"), 0);
    // And of both: ours come before the next thing that we say.
    for round in 1..=3 {
        client.update(b"K\n");
        client.ask();
        assert_eq!(client.updates("<<<"), round);
    }
    // One answer to several that come at once is enough.
    client.update(b"K\n");
    client.update(b"K\n");
    client.ask();
    assert!(client.updates("<<<") >= 4);
    client.end();
    assert!(!server.stderr().contains("error: "), "{}", server.stderr());
}

#[test]
fn with_certificates() {
    let (folder, _) = Folder::complete();
    let server = Launch::new(["--tls=require", &folder.option(), "memory", "1M"]).tcp().start();
    let authority = folder.path().join("ca-cert.pem");
    new_keys(&server, &["-servername", "localhost", "-CAfile", authority.to_str().unwrap()]);
}

const KEY: &str = "00112233445566778899aabbccddeeff";
const WITH_KEY: [&str; 6] =
    ["-psk_identity", "alice", "-psk", KEY, "-ciphersuites", "TLS_AES_128_GCM_SHA256"];

fn serve_with_key(folder: &Folder) -> Server {
    let psk = format!("--tls-psk={}", folder.put("keys.psk", &format!("alice:{KEY}\n"), 0o600).display());
    Launch::new(["--tls=require", &psk, "-v", "memory", "1M"]).start()
}

#[test]
fn with_pre_shared_keys() {
    let (folder, _) = Folder::complete();
    new_keys(&serve_with_key(&folder), &WITH_KEY);
}

/// OpenSSL answers each time, whether or not somebody reads it.
#[test]
fn who_asks_for_ever_and_reads_nothing_is_cut_off() {
    let (folder, _) = Folder::complete();
    let server = serve_with_key(&folder);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Of packets: the program takes what it reads at once for one command.
    let (commands, stdin) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let mut command = tool("openssl");
    command.args(["s_client", "-tls1_3", "-connect", &address]).args(WITH_KEY);
    let mut child = command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    drop(command);

    let mut peer = listener.accept().unwrap().0;
    let (mut server_in, mut server_out) = {
        let socket = agreed(&server).into_socket();
        (socket.try_clone().unwrap(), socket)
    };
    let mut heard = peer.try_clone().unwrap();
    let relay = thread::spawn(move || io::copy(&mut heard, &mut server_out));
    server_in.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    until("the handshake", || {
        let mut bytes = [0; 4096];
        if let Ok(len) = server_in.read(&mut bytes) {
            peer.write_all(&bytes[..len]).unwrap();
        }
        server.stderr().contains("TLS handshake completed")
    });

    let line = "error: read from client: peer asks for new TLS keys and does not read the answers\n";
    until("its end", || {
        for _ in 0..1000 {
            if send(commands.as_raw_fd(), b"K\n", MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).is_err() {
                break;
            }
        }
        server.stderr().contains(line)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    // How it found out does not matter.
    let _ = relay.join().unwrap();
}
