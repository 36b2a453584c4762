// SPDX-License-Identifier: BSD-3-Clause
//! Sockets that somebody else made, or that few machines have: activation, vsock, SELinux labels.

use std::fs;
use std::process::{Child, Stdio};

use nbdkit_tests::process::Process;
use nbdkit_tests::raw::{Address, Client};
use nbdkit_tests::{eventually, files::scratch, nbdkit, needs, run, tool};
use nix::sys::signal::Signal;

/// A child that ends with the value.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        Process(self.0.id().cast_signed()).signal(Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

#[test]
fn a_socket_passed_by_systemd_socket_activate_is_used() {
    let dir = scratch();
    // The path of a Unix socket is short.
    let short = tempfile::tempdir().unwrap();
    let socket = short.path().join("socket");
    let program = nbdkit();
    let mut command = tool("systemd-socket-activate");
    command.arg("-l").arg(&socket).arg(program.get_program()).args(["-f", "memory", "1M"]);
    let stderr = fs::File::create(dir.path().join("stderr")).unwrap();
    let _child = Ends(command.stdin(Stdio::null()).stderr(stderr).spawn().unwrap());
    let mut client = eventually(|| Client::connect(&Address::Unix(socket.clone())).ok()).expect("a listener");
    assert_eq!(client.structured("").size, 1 << 20);
    client.disconnect();
}

#[test]
fn libnbd_passes_a_socket_to_the_command_in_brackets() {
    let program = nbdkit();
    let command = ["--size", "--", "["];
    let output = run(tool("nbdinfo").args(command).arg(program.get_program()).args(["memory", "1M", "]"]));
    assert_eq!(output.ok().text(), "1048576");
}

#[test]
fn activation_goes_with_no_other_way_to_listen() {
    for args in [&["-p", "10810"][..], &["-U", "-"], &["-s"], &["--run", "true"], &["-i", "127.0.0.1"]] {
        let program = nbdkit();
        // `exec` keeps the process number which LISTEN_PID must name.
        let shell = r#"exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@""#;
        let output = run(tool("sh")
            .args(["-c", shell, "sh"])
            .arg(program.get_program())
            .arg("-f")
            .args(args)
            .args(["memory", "1M"]));
        output.exits(1).says("socket activation");
    }
}

#[test]
fn activation_meant_for_another_process_is_ignored() {
    let mut command = nbdkit();
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    run(command.args(["-U", "-", "memory", "1M", "--run", "nbdinfo --size \"$uri\""])).ok();
}

#[test]
fn a_systemd_unit_hands_over_its_socket() {
    if !needs("systemd") {
        return;
    }
    let short = tempfile::tempdir().unwrap();
    let socket = short.path().join("socket");
    let unit = format!("nbdkit-test-{}", std::process::id());
    run(tool("systemd-run")
        .arg(format!("--unit={unit}"))
        .arg(format!("--socket-property=ListenStream={}", socket.display()))
        .arg(nbdkit().get_program())
        .args(["memory", "1M"]))
    .ok();
    let size = run(tool("nbdinfo").arg("--size").arg(format!("nbd+unix:///?socket={}", socket.display())));
    run(tool("systemctl").args(["stop", &format!("{unit}.socket"), &format!("{unit}.service")])).ok();
    assert_eq!(size.ok().text(), "1048576");
}

#[test]
fn vsock_is_served() {
    if !needs("vsock") || !needs("vsock-loopback") {
        return;
    }
    let mut command = nbdkit();
    let output =
        run(command.args(["--vsock", "-p", "10811", "memory", "1M", "--run", "nbdinfo --size \"$uri\""]));
    assert_eq!(output.ok().text(), "1048576");
}

#[test]
fn a_socket_gets_its_selinux_label() {
    if !needs("selinux") {
        return;
    }
    let label = "system_u:object_r:svirt_socket_t:s0";
    let mut command = nbdkit();
    let args = ["--selinux-label", label, "-U", "-", "memory", "1M", "--run", "nbdinfo --size \"$uri\""];
    assert_eq!(run(command.args(args)).ok().text(), "1048576");
}
