// SPDX-License-Identifier: BSD-3-Clause
//! In the background: when the parent has exited with 0 the socket is usable, and the pidfile says whom to signal.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nbdkit_tests::process::Process;
use nbdkit_tests::raw::{Address, Client};
use nbdkit_tests::{Output, eventually, nbdkit, run, until};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// A server in the background, ended with the value.
struct Daemon {
    dir: TempDir,
    process: Option<Process>,
}

impl Daemon {
    fn folder() -> Self {
        Daemon { dir: tempfile::tempdir().unwrap(), process: None }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    fn pidfile(&self) -> PathBuf {
        self.dir.path().join("pid")
    }

    fn start(&mut self, args: &[&str]) -> Output {
        let output = run(nbdkit().arg("-U").arg(self.socket()).arg("-P").arg(self.pidfile()).args(args)).ok();
        let pid = eventually(|| fs::read_to_string(self.pidfile()).ok()?.strip_suffix('\n')?.parse().ok());
        self.process = Some(Process(pid.expect("a number and a newline in the pidfile")));
        output
    }

    fn connect(&self) -> Client {
        Client::connect(&Address::Unix(self.socket())).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(process) = self.process.filter(|process| !process.gone()) {
            process.signal(Signal::SIGKILL);
        }
    }
}

#[test]
fn when_the_parent_exits_the_socket_is_usable() {
    // Many times: the race would not show at once.
    for _ in 0..20 {
        let mut daemon = Daemon::folder();
        let output = run(nbdkit()
            .arg("-U")
            .arg(daemon.socket())
            .arg("-P")
            .arg(daemon.pidfile())
            .args(["memory", "1M"]))
        .ok();
        let mut client = daemon.connect();
        assert_eq!(client.structured("").size, 1 << 20);
        client.disconnect();
        assert_eq!((output.text(), output.stderr.as_str()), ("", ""));
        let pid = eventually(|| fs::read_to_string(daemon.pidfile()).ok()?.strip_suffix('\n')?.parse().ok());
        daemon.process = Some(Process(pid.expect("a pid")));
    }
}

#[test]
fn the_pidfile_names_the_process_that_a_signal_ends() {
    let mut daemon = Daemon::folder();
    daemon.start(&["memory", "1M"]);
    let process = daemon.process.unwrap();
    assert!(!process.gone());
    assert_eq!(fs::metadata(daemon.pidfile()).unwrap().permissions().mode() & 0o777, 0o644);
    process.signal(Signal::SIGTERM);
    until("the daemon ends", || process.gone());
    assert!(Client::connect(&Address::Unix(daemon.socket())).is_err(), "somebody still listens");
}

#[test]
fn an_old_pidfile_is_overwritten_whole() {
    let mut daemon = Daemon::folder();
    fs::write(daemon.pidfile(), "an older and much longer content\nof two lines\n").unwrap();
    run(nbdkit().arg("-U").arg(daemon.socket()).arg("-P").arg(daemon.pidfile()).args(["memory", "1M"])).ok();
    let pid = eventually(|| fs::read_to_string(daemon.pidfile()).ok()?.strip_suffix('\n')?.parse().ok());
    daemon.process = Some(Process(pid.expect("nothing but the pid")));
}

#[test]
fn relative_paths_are_those_of_the_folder_where_it_was_started() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("disk"), [7; 4096]).unwrap();
    run(nbdkit().current_dir(&dir).args(["-U", "socket", "-P", "pid", "file", "disk"])).ok();
    let pid =
        eventually(|| fs::read_to_string(dir.path().join("pid")).ok()?.strip_suffix('\n')?.parse().ok());
    let daemon = Daemon { process: pid.map(Process), dir };
    let mut client = daemon.connect();
    client.structured("");
    assert_eq!(client.read(0, 4096).unwrap(), [7; 4096]);
    // It does not keep the folder busy.
    let cwd = fs::read_link(format!("/proc/{}/cwd", daemon.process.expect("a pid").0)).unwrap();
    assert_eq!(cwd, Path::new("/"));
}

#[test]
fn a_daemon_keeps_no_standard_streams() {
    let mut daemon = Daemon::folder();
    daemon.start(&["memory", "1M"]);
    for fd in 0..3 {
        let target = fs::read_link(format!("/proc/{}/fd/{fd}", daemon.process.unwrap().0)).unwrap();
        assert_eq!(target, Path::new("/dev/null"), "descriptor {fd}");
    }
}

#[test]
fn a_mistake_is_told_before_the_parent_exits() {
    let daemon = Daemon::folder();
    for args in [&["memory", "bad-size"][..], &["file", "/no/such/file"], &["no-such-plugin"]] {
        let output =
            run(nbdkit().arg("-U").arg(daemon.socket()).arg("-P").arg(daemon.pidfile()).args(args)).exits(1);
        assert!(!output.stderr.is_empty());
        assert!(!daemon.pidfile().exists(), "a pidfile of nobody");
        assert!(Client::connect(&Address::Unix(daemon.socket())).is_err(), "somebody listens");
    }
}

#[test]
fn a_socket_in_use_is_not_taken_over() {
    let mut daemon = Daemon::folder();
    daemon.start(&["memory", "1M"]);
    run(nbdkit().arg("-U").arg(daemon.socket()).args(["memory", "2M"])).exits(1).says("socket");
    assert_eq!(daemon.connect().structured("").size, 1 << 20);
}

#[test]
fn foreground_stays() {
    for option in ["-f", "--foreground", "--no-fork"] {
        let daemon = Daemon::folder();
        let mut command = nbdkit();
        command
            .arg(option)
            .arg("-U")
            .arg(daemon.socket())
            .arg("-P")
            .arg(daemon.pidfile())
            .args(["memory", "1M"]);
        let mut child = command.spawn().unwrap();
        let pid: i32 =
            eventually(|| fs::read_to_string(daemon.pidfile()).ok()?.strip_suffix('\n')?.parse().ok())
                .unwrap();
        assert_eq!(pid, child.id().cast_signed(), "{option} forks");
        Process(pid).signal(Signal::SIGTERM);
        assert_eq!(eventually(|| child.try_wait().unwrap()).expect("the end").code(), Some(0));
    }
}

#[test]
fn what_it_makes_can_be_read_by_all_whoever_starts_it() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, pidfile) = (dir.path().join("socket"), dir.path().join("pid"));
    let log = format!("--log={}", dir.path().join("log").display());
    let mut shell = nbdkit_tests::tool("sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(nbdkit().get_program());
    shell.arg("-U").arg(&socket).arg("-P").arg(&pidfile);
    if nbdkit_tests::supports(nbdkit_tests::Feature::ErrorText) {
        shell.arg(&log);
    }
    assert_eq!(run(shell.args(["null", "--run", "umask"])).ok().text(), "0022");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    until("the pid file", || pidfile.exists());
    assert_eq!((mode(&socket), mode(&pidfile)), (0o755, 0o644));
    if dir.path().join("log").exists() {
        assert_eq!(mode(&dir.path().join("log")), 0o644);
    }
}
