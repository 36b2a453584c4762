// SPDX-License-Identifier: BSD-3-Clause
//! Filters that make clients wait: rate and pause.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nbdkit_tests::raw::{Client, cmd, err};
use nbdkit_tests::{Server, run, tool, until};
use nix::sys::signal::Signal::SIGTERM;

#[test]
fn copies_take_as_long_as_the_rate_says() {
    for rate in ["rate=2M", "connection-rate=2M"] {
        let server = Server::start(["--filter=rate", "pattern", "256K", rate, "burstiness=0.1"]);
        let start = Instant::now();
        // One connection: the limit of each is then that of all.
        run(tool("nbdcopy").args(["-C", "1", "--request-size=65536"]).arg(server.uri()).arg("null:")).ok();
        // A second for all of it, of which a tenth may come at once.
        assert!(start.elapsed() >= Duration::from_millis(880), "{rate}: {:?}", start.elapsed());
    }
}

/// A file behind the pause filter, with a log in front of it.
struct Pausable {
    server: Server,
    dir: tempfile::TempDir,
}

impl Pausable {
    fn start() -> Pausable {
        let dir = nbdkit_tests::files::scratch();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("disk"), [1; 4096]).unwrap();
        let (log, control) =
            (format!("logfile={}", path("log")), format!("pause-control={}", path("control")));
        let args = ["--filter=log", "--filter=pause", "file", &path("disk"), &log, &control];
        Pausable { server: Server::start(args), dir }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn tell(&self, command: u8) -> char {
        let mut control = UnixStream::connect(self.path("control")).unwrap();
        control.set_read_timeout(Some(nbdkit_tests::HANG)).unwrap();
        control.write_all(&[command]).unwrap();
        let mut answer = [0];
        control.read_exact(&mut answer).unwrap();
        answer[0].into()
    }

    fn logs(&self, what: &str) {
        let log = || std::fs::read_to_string(self.path("log")).unwrap_or_default();
        until(what, || log().contains(what));
    }

    /// A client whose read has arrived and waits.
    fn waiting(&self) -> (Client, u64) {
        let mut client = self.server.connect();
        client.structured("");
        assert_eq!(self.tell(b'p'), 'P');
        let read = client.request(cmd::READ, 0, 0, 512).unwrap();
        self.logs("Read id=1 offset=0x0");
        (client, read)
    }
}

#[test]
fn what_is_asked_for_during_a_pause_is_done_after_it() {
    let pausable = Pausable::start();
    let (mut client, read) = pausable.waiting();
    // A snapshot would be taken now: nothing has touched the file yet.
    std::fs::write(pausable.path("disk"), [2; 4096]).unwrap();
    assert_eq!(pausable.tell(b'x'), 'X');
    assert_eq!(pausable.tell(b'r'), 'R');
    assert_eq!(client.read_reply(read, 0, 512).unwrap(), [2; 512]);
    client.write(0, &[3; 512], 0).unwrap();
}

#[test]
fn who_leaves_during_a_pause_is_not_waited_for() {
    let pausable = Pausable::start();
    let (client, _) = pausable.waiting();
    drop(client);
    pausable.logs("...Read id=1 return=-1 error=ESHUTDOWN");
    assert_eq!(pausable.tell(b'r'), 'R');
    pausable.server.assert_serves();
}

#[test]
fn a_pause_does_not_keep_the_server_from_ending() {
    let mut pausable = Pausable::start();
    let (mut client, read) = pausable.waiting();
    assert!(pausable.path("control").exists());
    pausable.server.signal(SIGTERM);
    assert_eq!(client.read_reply(read, 0, 512), Err(err::ESHUTDOWN));
    drop(client);
    assert_eq!(pausable.server.wait().code(), Some(0));
    assert!(!Path::new(&pausable.path("control")).exists());
}
