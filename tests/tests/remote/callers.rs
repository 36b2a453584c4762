// SPDX-License-Identifier: BSD-3-Clause
//! The command lines of programs that have nbdkit fetch a disk from a web server, shortened; each reads and compares all.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
};

use nbdkit_tests::{data::assert_bytes, eventually, nbdkit, raw::Address, raw::Client, tool, until};

use crate::curl::nginx::Nginx;

const USER: &str = "importer";
const PASSWORD: &str = "correct horse battery";

/// A web server that knows its users.
fn guarded() -> Nginx {
    let nginx = Nginx::start("auth_basic disks; auth_basic_user_file DIR/users;");
    fs::write(nginx.path("users"), format!("{USER}:{{PLAIN}}{PASSWORD}\n")).unwrap();
    // Nothing but the password, and no newline.
    fs::write(nginx.path("password"), PASSWORD).unwrap();
    nginx
}

/// Ends with the test, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `nbdkit ARGS`, with the password to be read from the descriptor of this number.
fn start(nginx: &Nginx, descriptor: u32, args: &[&str]) -> Running {
    let script = format!("exec {descriptor}< \"$0\"; exec \"$@\"");
    let mut command = tool("bash");
    command.args(["-c", &script]).arg(nginx.path("password")).arg(nbdkit().get_program()).args(args);
    // Both streams in one file, as the callers merge them.
    let log = fs::File::create(nginx.path("log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Running(command.spawn().unwrap())
}

#[track_caller]
fn assert_serves(socket: &Path, nginx: &Nginx) {
    let disk = fs::read(nginx.disk()).unwrap();
    let mut client = Client::connect(&Address::Unix(socket.into())).unwrap();
    assert_eq!(client.structured("").size, disk.len() as u64);
    // In order, as a copy reads, so that what is ahead is fetched.
    for (number, bytes) in disk.chunks(256 << 10).enumerate() {
        let offset = number as u64 * (256 << 10);
        assert_bytes("disk", &client.read(offset, bytes.len() as u32).unwrap(), bytes);
    }
    client.disconnect();
    let log = fs::read_to_string(nginx.path("log")).unwrap();
    assert!(!log.contains(PASSWORD) && !log.contains("battery"), "{log}");
}

#[test]
fn kubevirt_cdi() {
    let nginx = guarded();
    let (socket, pid) = (nginx.path("nbd.sock"), nginx.path("nbd.pid"));
    let (shown_socket, shown_pid) = (socket.display().to_string(), pid.display().to_string());
    let (url, user) = (format!("url={}", nginx.https("/disk.img")), format!("user={USER}"));
    let cainfo = nginx.cainfo();
    let args = [
        &["--foreground", "--readonly", "--exit-with-parent", "-U", &shown_socket, "--pidfile", &shown_pid][..],
        &["--filter=readahead", "--filter=retry", "-r", "curl", "header=User-Agent: cdi-golang-importer"],
        &[&cainfo, "retry-exponential=no", &url, "password=-3", &user],
    ];
    let _running = start(&nginx, 3, &args.concat());
    until("the pid file", || pid.exists());
    assert_serves(&socket, &nginx);
}

#[test]
fn libvirt() {
    let nginx = guarded();
    let socket = nginx.path("nbd.sock");
    let shown = socket.display().to_string();
    let (url, user) = (format!("url={}", nginx.http("/disk.img")), format!("user={USER}"));
    let args = [
        &["--unix", &shown, "--foreground", "--readonly", "--filter=readahead", "curl"][..],
        &["protocols=http,https", &url, &user, "password=-779"],
    ];
    let _running = start(&nginx, 779, &args.concat());
    eventually(|| Client::connect(&Address::Unix(socket.clone())).ok()).expect("somebody listens");
    assert_serves(&socket, &nginx);
}
