// SPDX-License-Identifier: BSD-3-Clause
//! The two examples against the programs that people use: libnbd's nbdinfo and nbdcopy, QEMU's qemu-io,
//! qemu-img and qemu-nbd, and nbdkit. A program that is missing fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic too")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

const SIZE: usize = 16 << 20;

/// A directory that goes away in the end.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("nbd-proto-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An example, built where and how this test was.
fn example(name: &str) -> String {
    static BUILT: Once = Once::new();
    let tests = env::current_exe().unwrap();
    let profile = tests.parent().and_then(Path::parent).unwrap();
    BUILT.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--examples", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        cargo.args((!cfg!(debug_assertions)).then_some("--release"));
        assert!(cargo.status().unwrap().success(), "the examples cannot be built");
    });
    profile.join("examples").join(name).to_str().unwrap().to_owned()
}

/// Runs a program to its end, at most a minute; gives whether it succeeded, and all that it said.
fn try_run(args: &[&str]) -> (bool, String) {
    let mut command = Command::new("timeout");
    command.arg("60").args(args).stdin(Stdio::null());
    let output = command.output().expect("timeout, of coreutils, is needed");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn run(args: &[&str]) -> String {
    let (success, said) = try_run(args);
    assert!(success, "{args:?} failed: {said}");
    said
}

/// The example server, for as long as this lives.
struct Server {
    child: Child,
    dir: Dir,
}

impl Server {
    fn start(style: &str) -> Self {
        let dir = Dir::new();
        let mut child = Command::new(example("server"))
            .args([&format!("unix:{}", dir.file("socket")), &SIZE.to_string(), style])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening"), "{line}");
        Self { child, dir }
    }

    fn uri(&self) -> String {
        format!("nbd+unix:///?socket={}", self.dir.file("socket"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes that repeat nowhere.
fn noise() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..SIZE / 8).flat_map(|_| next()).collect()
}

const STYLES: [&str; 4] = ["extended", "structured", "simple", "oldstyle"];

#[test]
fn nbdinfo_likes_the_server() {
    for style in STYLES {
        let server = Server::start(style);
        let said = run(&["nbdinfo", &server.uri()]);
        assert!(said.contains("export-size: 16777216"), "{style}: {said}");
        assert!(said.contains("can_zero: true"), "{style}: {said}");
        let protocol = match style {
            "simple" => "newstyle-fixed without TLS, using simple packets",
            "oldstyle" => "oldstyle without TLS, using simple packets",
            _ => "newstyle-fixed without TLS, using structured packets",
        };
        // A libnbd that knows extended headers says so instead.
        let said = said.replace("using extended packets", "using structured packets");
        assert!(said.contains(protocol), "{style}: {said}");
        if style != "oldstyle" {
            assert!(run(&["nbdinfo", "--list", &server.uri()]).contains("description: a RAM disk"));
        }
    }
    let map = run(&["nbdinfo", "--map", &Server::start("structured").uri()]);
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "16777216", "0", "data"]);
}

#[test]
fn nbdcopy_gets_back_what_it_wrote() {
    for style in STYLES {
        let server = Server::start(style);
        let (from, to) = (server.dir.file("from"), server.dir.file("to"));
        fs::write(&from, noise()).unwrap();
        run(&["nbdcopy", &from, &server.uri()]);
        run(&["nbdcopy", &server.uri(), &to]);
        assert!(fs::read(&to).unwrap() == noise(), "{style}");
    }
}

#[test]
fn qemu_reads_writes_zeroes_and_discards() {
    for style in STYLES {
        let server = Server::start(style);
        let script = [
            "write -P 7 0 1M",
            "read -P 7 0 1M",
            "discard 4096 4096",
            "write -z 8192 4096",
            "read -P 0 8192 4096",
        ];
        let mut args = vec!["qemu-io", "-f", "raw"];
        script.iter().chain(&["flush", "read -P 7 12288 4096"]).for_each(|line| args.extend(["-c", *line]));
        let uri = server.uri();
        args.push(&uri);
        let said = run(&args);
        assert!(!said.contains("failed") && !said.contains("error"), "{style}: {said}");
        assert_eq!(said.matches("read ").count(), 3, "{style}: {said}");
        run(&["qemu-img", "map", "-f", "raw", "--output=json", &uri]);
        run(&["qemu-img", "compare", "-f", "raw", "-F", "raw", &uri, &uri]);
    }
}

/// Runs shell commands with `$client` as the client and nbdkit as the server, at `$unixsocket`.
fn with_nbdkit(options: &[&str], script: &str) -> String {
    let script = format!("client={}; nbd=unix:$unixsocket; set -e; {script}", example("client"));
    let mut args = vec!["nbdkit", "-U", "-"];
    args.extend(options);
    args.extend(["memory", "16M", "--run", &script]);
    run(&args)
}

const READ_WHAT_WAS_WRITTEN: &str =
    "echo hello world | $client $nbd '' write 4096; $client $nbd '' read 4096 12; $client $nbd '' info";

#[test]
fn the_client_likes_nbdkit() {
    for (options, expected) in [
        (&[][..], "structured replies"),
        (&["--no-sr"], "simple replies"),
        (&["--mask-handshake=0"], "simple replies"),
        (&["--mask-handshake=2"], "simple replies"),
        (&["-o"], "simple replies"),
    ] {
        let said = with_nbdkit(options, READ_WHAT_WAS_WRITTEN);
        assert!(said.contains("hello world\n"), "{options:?}: {said}");
        assert!(said.contains("16777216 bytes"), "{options:?}: {said}");
        assert!(said.contains(expected), "{options:?}: {said}");
    }
    let map = with_nbdkit(&[], "printf x | $client $nbd '' write 65536; $client $nbd '' map");
    assert!(map.contains("0\t65536\t3\n65536\t32768\t0\n98304\t16678912\t3\n"), "{map}");
    assert!(with_nbdkit(&[], "$client $nbd '' list").contains("\t\n"), "the default export");
}

#[test]
fn refusals_of_nbdkit_are_told() {
    let script = "if $client $nbd '' read 16777216 1 2>&1; then exit 1; fi";
    assert!(with_nbdkit(&[], script).contains("NBD_EINVAL"));
    let script = "if echo | $client $nbd '' write 0 2>&1; then exit 1; fi";
    assert!(with_nbdkit(&["-r"], script).contains("NBD_EPERM"));
    let refused = with_nbdkit(&["--tls=require", "--tls-psk=/dev/null"], "$client $nbd '' info 2>&1 || true");
    assert!(refused.contains("NBD_REP_ERR_TLS_REQD"), "{refused}");
}

/// A process that is in the background; it wrote its id to a file.
struct Daemon(String);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = try_run(&["sh", "-c", &format!("kill $(cat {})", self.0)]);
    }
}

#[test]
fn the_client_likes_qemu_nbd_with_extended_headers() {
    let dir = Dir::new();
    let (disk, socket, pid) = (dir.file("disk"), dir.file("socket"), dir.file("pid"));
    fs::File::create(&disk).unwrap().set_len(8 << 30).unwrap();
    // It returns when it listens.
    run(&[
        "qemu-nbd",
        "--fork",
        "--pid-file",
        &pid,
        "-t",
        "-f",
        "raw",
        "-k",
        &socket,
        "-x",
        "disk",
        "-D",
        "a disk",
        &disk,
    ]);
    let _daemon = Daemon(pid);
    let (client, address) = (example("client"), format!("unix:{socket}"));
    let client = |args: &[&str]| try_run(&[&[client.as_str(), &address], args].concat()).1;

    let said = client(&["disk", "info"]);
    assert!(said.starts_with("8589934592 bytes, extended headers, "), "{said}");
    assert_eq!(client(&["disk", "map"]), "0\t8589934592\t3\n", "more than 32 bits in one extent");
    let said = client(&["disk", "info", "structured"]);
    assert!(said.starts_with("8589934592 bytes, structured replies, "), "{said}");
    assert_eq!(client(&["disk", "read", "0", "65536"]), "\0".repeat(65536));
    assert_eq!(client(&["disk", "list"]), "disk\ta disk\n");
    assert!(client(&["nope", "info"]).contains("NBD_REP_ERR_UNKNOWN"));
    run(&["sh", "-c", &format!("printf hello | {} {address} disk write 5000000000", example("client"))]);
    assert_eq!(client(&["disk", "read", "5000000000", "5"]), "hello");
}
