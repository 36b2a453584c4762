// SPDX-License-Identifier: BSD-3-Clause
//! A running server: started in the foreground in a private folder, ended by its process number.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::binary::nbdkit;
use crate::process::Process;
use crate::raw::{Address, Client};
use crate::wait::eventually;

/// How to start a server; [`Server::start`] is the short way.
pub struct Launch {
    args: Vec<OsString>,
    tcp: bool,
    under: Vec<OsString>,
}

/// A server that runs until the value goes. Then it gets SIGTERM, and must neither hang nor have panicked.
pub struct Server {
    child: Child,
    process: Process,
    address: Address,
    dir: TempDir,
    ended: Option<ExitStatus>,
}

impl Launch {
    /// Arguments after those the harness gives (`-f`, where to listen, and the pidfile).
    pub fn new(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Launch { args, tcp: false, under: Vec::new() }
    }

    /// Listens on a free port of 127.0.0.1 instead of a Unix socket.
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Puts a command in front, such as `strace` or `setpriv`, that runs the server as its child or by exec.
    pub fn under(mut self, command: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.under = command.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        self
    }

    /// Starts the server and returns once it listens. Panics, with its standard error, when it ends instead.
    #[track_caller]
    pub fn start(self) -> Server {
        // Between the choice of a free port and its use another process may take it: then once more.
        for _ in 0..10 {
            match self.attempt() {
                Ok(server) => return server,
                Err(stderr) if self.tcp && stderr.contains("in use") => {}
                Err(stderr) => panic!("nbdkit {:?} ended while starting\nstderr: {stderr}", self.args),
            }
        }
        panic!("no free port in ten attempts");
    }

    fn attempt(&self) -> Result<Server, String> {
        let dir = tempfile::Builder::new().prefix("nbdkit-test").tempdir().unwrap();
        let pidfile = dir.path().join("pid");
        let (address, listen) = self.listen(&dir);
        let program = nbdkit();
        let mut command = match self.under.split_first() {
            None => nbdkit(),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program.get_program()).env("LC_ALL", "C");
                command
            }
        };
        let stderr = File::create(dir.path().join("stderr")).unwrap();
        command.arg("-f").arg("-P").arg(&pidfile).args(listen).args(&self.args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));

        // The pidfile is written once the socket listens.
        let started = eventually(|| {
            let text = fs::read_to_string(&pidfile).unwrap_or_default();
            let pid = text.strip_suffix('\n').and_then(|pid| pid.parse().ok());
            pid.map(Some).or_else(|| child.try_wait().unwrap().map(|_| None))
        });
        let Some(Some(pid)) = started else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(fs::read_to_string(dir.path().join("stderr")).unwrap_or_default());
        };
        Ok(Server { child, process: Process(pid), address, dir, ended: None })
    }

    fn listen(&self, dir: &TempDir) -> (Address, Vec<OsString>) {
        if self.tcp {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let args = ["-i", "127.0.0.1", "-p", &port.to_string()].map(OsString::from);
            (Address::Tcp(port), args.into())
        } else {
            let socket = dir.path().join("socket");
            (Address::Unix(socket.clone()), vec!["-U".into(), socket.into()])
        }
    }
}

impl Server {
    /// Starts `nbdkit ARGS` on a private Unix socket.
    #[track_caller]
    pub fn start(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Launch::new(args).start()
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The socket in the private folder. Panics for a server on TCP.
    pub fn socket(&self) -> PathBuf {
        match &self.address {
            Address::Unix(path) => path.clone(),
            Address::Tcp(port) => panic!("this server listens on port {port}"),
        }
    }

    /// The NBD URI of the default export.
    pub fn uri(&self) -> String {
        self.uri_of("")
    }

    /// The NBD URI of an export; its name must need no escapes.
    pub fn uri_of(&self, export: &str) -> String {
        match &self.address {
            Address::Unix(path) => format!("nbd+unix:///{export}?socket={}", path.display()),
            Address::Tcp(port) => format!("nbd://127.0.0.1:{port}/{export}"),
        }
    }

    /// Its process, also when a tracer stands in front.
    pub fn process(&self) -> Process {
        self.process
    }

    /// A new connection on which nothing was said yet.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::connect(&self.address).unwrap_or_else(|error| {
            panic!("cannot connect to {:?}: {error}\nstderr: {}", self.address, self.stderr())
        })
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.path().join("stderr")).unwrap()).into_owned()
    }

    /// Panics unless it runs, has not panicked, and serves the default export to a well-behaved client.
    #[track_caller]
    pub fn assert_serves(&self) {
        assert!(!self.process.gone(), "the server ended\nstderr: {}", self.stderr());
        let mut client = self.connect();
        let export = client.structured("");
        let len = export.size.min(512) as u32;
        if len > 0 {
            client.read(0, len).unwrap_or_else(|error| panic!("a good client's read gave error {error}"));
        }
        client.disconnect();
        self.assert_no_panic();
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end of the server. Panics when it hangs.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        let Some(status) = eventually(|| self.child.try_wait().unwrap()) else {
            let stderr = self.stderr();
            self.kill();
            panic!("the server does not end\nstderr: {stderr}");
        };
        self.ended = Some(status);
        status
    }

    /// SIGKILL, and the end of it.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            if !self.process.gone() {
                self.process.signal(Signal::SIGKILL);
            }
            // A tracer in front ends with the traced; if not, it goes as well.
            self.ended = eventually(|| self.child.try_wait().unwrap()).or_else(|| {
                let _ = self.child.kill();
                self.child.wait().ok()
            });
        }
    }

    #[track_caller]
    fn assert_no_panic(&self) {
        let stderr = self.stderr();
        assert!(!stderr.contains("panicked"), "the server panicked\nstderr: {stderr}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let stderr = self.stderr();
            let lines: Vec<&str> = stderr.lines().collect();
            let last = lines.len().saturating_sub(20);
            eprintln!("standard error of the server, {last} lines left out:\n{}", lines[last..].join("\n"));
            self.kill();
            return;
        }
        if self.ended.is_none() {
            if !self.process.gone() {
                self.process.signal(Signal::SIGTERM);
            }
            self.wait();
        }
        self.assert_no_panic();
    }
}
