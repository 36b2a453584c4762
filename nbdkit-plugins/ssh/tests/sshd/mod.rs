// SPDX-License-Identifier: BSD-3-Clause
//! A private sshd: on a free port of the loopback, with keys and a configuration of its own, ended with the value.
#![allow(dead_code)] // each of the binaries that share this uses a part of it

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// After this long a thing counts as hung.
const HANG: Duration = Duration::from_secs(60);
/// Kinds of keys that the server and the user have, as `ssh-keygen -t` names them.
pub const KINDS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

/// The files of a server, and the server while it runs.
pub struct Sshd {
    dir: TempDir,
    port: u16,
    config: String,
    child: Option<Child>,
}

impl Sshd {
    /// With keys of all kinds.
    pub fn start() -> Sshd {
        Sshd::with("")
    }

    /// The same with more lines for its sshd_config(5), which win.
    pub fn with(config: &str) -> Sshd {
        let dir = tempfile::Builder::new().prefix("nbdkit-sshd").tempdir().unwrap();
        let mut authorized = String::new();
        for kind in KINDS {
            keygen(kind, &dir.path().join(format!("host_{kind}")));
            keygen(kind, &dir.path().join(format!("user_{kind}")));
            authorized += &public(&dir.path().join(format!("user_{kind}")));
        }
        fs::write(dir.path().join("authorized"), authorized).unwrap();
        let mut sshd = Sshd { dir, port: 0, config: config.to_owned(), child: None };
        // Between the choice of a free port and its use another process may take it.
        for _ in 0..10 {
            sshd.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if sshd.run() {
                return sshd;
            }
        }
        panic!("sshd does not start: {}", sshd.log());
    }

    /// Starts it, again if need be, on its port. False if it ended at once.
    pub fn run(&mut self) -> bool {
        let at = |name: &str| self.path(name).display().to_string();
        let host_keys: String =
            KINDS.iter().map(|kind| format!("HostKey {}\n", at(&format!("host_{kind}")))).collect();
        let sftp = if self.config.contains("Subsystem") { "" } else { "Subsystem sftp internal-sftp" };
        let config = format!(
            "{}\nListenAddress 127.0.0.1\nPort {}\n{host_keys}AuthorizedKeysFile {}\nStrictModes no\nPidFile none\n\
             UsePAM no\nPermitRootLogin yes\nMaxStartups 100\nLogLevel DEBUG\n{sftp}\n",
            self.config,
            self.port,
            at("authorized"),
        );
        fs::write(self.path("config"), config).unwrap();
        // sshd wants to be started by its absolute path. As root it wants an empty directory that only root can write,
        // which is there where the service runs; anywhere else it gets one that nobody else sees.
        let start = format!("exec /usr/sbin/sshd -D -E '{}' -f '{}'", at("log"), at("config"));
        let alone = "[ -d /run/sshd ] || { mount -t tmpfs none /run && mkdir -m 755 /run/sshd; } && ";
        let mut command = match nix::unistd::getuid().is_root() {
            true => {
                let mut command = Command::new("unshare");
                command.args(["--mount", "sh", "-c", &format!("{alone}{start}")]);
                command
            }
            false => {
                let mut command = Command::new("sh");
                command.args(["-c", &start]);
                command
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().unwrap();
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(begin.elapsed() < HANG, "sshd does not listen: {}", self.log());
            sleep(Duration::from_millis(5));
        }
        self.child = Some(child);
        true
    }

    /// Ends it and all its sessions at once.
    pub fn kill(&mut self) {
        let sessions = self.sessions();
        let Some(mut child) = self.child.take() else { return };
        for process in sessions.into_iter().chain([child.id()]) {
            send(process, nix::sys::signal::Signal::SIGKILL);
        }
        child.wait().unwrap();
    }

    /// Sends a signal to all processes that serve clients.
    pub fn signal_sessions(&self, signal: nix::sys::signal::Signal) {
        self.sessions().into_iter().for_each(|process| send(process, signal));
    }

    /// How many clients there are now.
    pub fn clients(&self) -> usize {
        let child = self.child.as_ref().map_or(0, Child::id);
        children(child).len()
    }

    /// The processes that serve clients: children, and theirs.
    fn sessions(&self) -> Vec<u32> {
        let mut found: Vec<u32> = self.child.iter().map(Child::id).collect();
        let mut next = 0;
        while let Some(process) = found.get(next) {
            let mut more = children(*process);
            found.append(&mut more);
            next += 1;
        }
        found.split_off(1.min(found.len()))
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// One of its files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// All it has said.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    /// A file that knows these kinds of its keys.
    pub fn known_hosts(&self, name: &str, kinds: &[&str]) -> PathBuf {
        let line = |kind: &&str| {
            format!("[127.0.0.1]:{} {}", self.port, public(&self.path(&format!("host_{kind}"))))
        };
        let path = self.path(name);
        fs::write(&path, kinds.iter().map(line).collect::<String>()).unwrap();
        path
    }

    /// Parameters that open `path` there with a key that is accepted, as the user of the test.
    pub fn params(&self, path: &str) -> Vec<String> {
        vec![
            "host=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            "config=".to_owned(),
            format!("identity={}", self.path("user_ed25519").display()),
            format!("known-hosts={}", self.known_hosts("known", &["ed25519"]).display()),
            format!("path={path}"),
        ]
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the last lines of sshd:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

/// A pair of keys, `path` and `path.pub`.
pub fn keygen(kind: &str, path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", "", "-C", "a test's", "-f"]).arg(path);
    let status = command.stdin(Stdio::null()).status();
    assert!(status.expect("ssh-keygen of openssh-client").success());
}

/// The line of a public key.
pub fn public(path: &Path) -> String {
    fs::read_to_string(path.with_extension("pub")).unwrap()
}

fn send(process: u32, signal: nix::sys::signal::Signal) {
    // It may have ended meanwhile.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.cast_signed()), signal);
}

fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}
