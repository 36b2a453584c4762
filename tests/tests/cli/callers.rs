// SPDX-License-Identifier: BSD-3-Clause
//! The command lines of programs that run nbdkit, shortened; each reaches a client that reads and compares data.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::run_nbdkit;
use nbdkit_tests::{Feature, nbdkit, raw::Address, raw::Client, run, supports, tool, until};

const SIZE: u64 = 1 << 20;

/// A disk image whose content can be told.
fn image(dir: &Path) -> String {
    let bytes: Vec<u8> = (0..SIZE).map(|at| (at / 512 * 7 + at % 251) as u8).collect();
    let path = dir.join("disk.img");
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

/// Ends with the test, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> Running {
    Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn assert_same(socket: &Path, image: &str) {
    let mut client = Client::connect(&Address::Unix(socket.into())).unwrap();
    client.structured("");
    assert!(client.read(0, SIZE as u32).unwrap() == fs::read(image).unwrap());
}

#[test]
fn kubevirt_cdi() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (image, socket, pid) = (image(dir.path()), dir.path().join("sock"), dir.path().join("pid"));
    let mut command = nbdkit();
    command
        .args(["--foreground", "--readonly", "--exit-with-parent", "-U"])
        .arg(&socket)
        .arg("--pidfile")
        .arg(&pid);
    command.args(["--filter=retry", "-r", "file", "retry-exponential=no"]).arg(format!("file={image}"));
    let _running = start(&mut command);
    until("the pid file", || pid.exists());
    assert_same(&socket, &image);
}

#[test]
fn virt_v2v() {
    if !supports(Feature::ErrorText) {
        return;
    }
    assert!(run_nbdkit(&["--version"]).ok().text().starts_with("nbdkit 1."));
    assert!(run_nbdkit(&["--dump-config"]).ok().text().contains("\nversion=1."));
    assert!(run_nbdkit(&["--long-options"]).ok().text().lines().any(|line| line == "--name"));
    assert!(run_nbdkit(&["null", "--filter=cow", "--help"]).ok().text().contains("cow-block-size"));
    let dir = tempfile::tempdir().unwrap();
    let (image, socket, pid) = (image(dir.path()), dir.path().join("sock"), dir.path().join("pid"));
    let mut command = nbdkit();
    command
        .env("LANG", "C")
        .args(["--name", "in", "--exit-with-parent", "--foreground", "--pidfile"])
        .arg(&pid);
    command.arg("--unix").arg(&socket).args([
        "--threads",
        "16",
        "-D",
        "nbdkit.backend.datapath=0",
        "--readonly",
    ]);
    command.args(["--verbose", "--filter", "cow", "file"]).arg(format!("file={image}"));
    let _running = start(&mut command);
    until("the pid file", || pid.exists());
    assert_same(&socket, &image);
}

#[test]
fn virt_p2v() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = tool("systemd-socket-activate");
    command.arg("-l").arg(format!("127.0.0.1:{port}")).arg("-l").arg(format!("[::1]:{port}"));
    command
        .arg(nbdkit().get_program())
        .args(["-r", "--exit-with-parent", "file"])
        .arg(format!("file={image}"));
    let _running = start(&mut command);
    until("the socket", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let mut client = Client::connect(&Address::Tcp(port)).unwrap();
    client.structured("");
    assert!(client.read(0, SIZE as u32).unwrap() == fs::read(image).unwrap());
}

#[test]
fn libvirt() {
    let config = run_nbdkit(&["--dump-config"]).ok();
    let value = |key: &str| {
        let line = config.text().lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {key} in {}", config.text())).to_owned()
    };
    assert!(value("version").starts_with("1.") && value("filterdir").starts_with('/'));
    assert!(value("plugindir").starts_with('/'));
    let dir = tempfile::tempdir().unwrap();
    let (image, socket) = (image(dir.path()), dir.path().join("sock"));
    let mut command = nbdkit();
    command
        .arg("--unix")
        .arg(&socket)
        .args(["--foreground", "--readonly", "file"])
        .arg(format!("file={image}"));
    let _running = start(&mut command);
    until("the socket", || Client::connect(&Address::Unix(socket.clone())).is_ok());
    assert_same(&socket, &image);
}

#[test]
fn openbmc() {
    let dir = tempfile::tempdir().unwrap();
    let (image, socket) = (image(dir.path()), dir.path().join("sock"));
    let copy = dir.path().join("copy");
    let script = format!("nbdcopy \"$uri\" {} && cmp {} {image}", copy.display(), copy.display());
    let mut command = nbdkit();
    command.arg("--unix").arg(&socket).args(["--run", &script, "--verbose", "--readonly", "file"]);
    run(command.arg(format!("file={image}"))).ok();
}

#[test]
fn a_shell_user() {
    let copy = "nbdcopy \"$uri\" null: && qemu-img info \"$nbd\"";
    run_nbdkit(&["-U", "-", "--filter=delay", "memory", "4M", "rdelay=10ms", "--run", copy]).ok();
    for (script, code) in [("exit 2", 2), ("kill -9 $$", 137)] {
        run_nbdkit(&["-U", "-", "memory", "64M", "--run", script]).exits(code);
    }
}
