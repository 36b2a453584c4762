// SPDX-License-Identifier: BSD-3-Clause
//! As a service: sockets from outside, readiness, labels, other users, and what else a service manager asks for.

use std::fs;
use std::os::unix::{fs::PermissionsExt, net::UnixDatagram};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::run_nbdkit;
use nbdkit_tests::{
    Feature, Launch, eventually, nbdkit, raw::Address, raw::Client, run, supports, tool, until,
};

/// Sockets of these addresses, then `nbdkit ARGS` with all of them.
fn activated(listen: &[&str], args: &[&str]) -> Command {
    let mut command = tool("systemd-socket-activate");
    for address in listen {
        command.args(["-l", address]);
    }
    command.arg(nbdkit().get_program()).args(args).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn greeted(address: &Address) -> bool {
    Client::connect(address)
        .is_ok_and(|mut client| client.recv(18).is_ok_and(|bytes| bytes.starts_with(b"NBDMAGIC")))
}

#[test]
fn every_socket_from_outside_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let unix = dir.path().join("socket");
    let (v4, v6) = (format!("127.0.0.1:{port}"), format!("[::1]:{port}"));
    let mut server =
        activated(&[&v4, &v6, unix.to_str().unwrap()], &["-r", "--exit-with-parent", "memory", "1M"])
            .spawn()
            .unwrap();
    until("the sockets exist", || std::net::TcpStream::connect(&v4).is_ok() && unix.exists());
    for address in [Address::Tcp(port), Address::Unix(unix.clone())] {
        assert!(eventually(|| greeted(&address).then_some(())).is_some(), "{address:?}");
    }
    assert!(std::net::TcpStream::connect(&v6).is_ok());
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn options_that_listen_do_not_go_with_sockets_from_outside() {
    for flag in [&["-p", "1"][..], &["-U", "-"], &["-i", "127.0.0.1"], &["--run", "true"], &["-s"]] {
        let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3<&0";
        let mut command = tool("sh");
        command.args(["-c", script, "sh"]).arg(nbdkit().get_program()).args(flag).args(["null", "1M"]);
        run(&mut command).exits(1).says("cannot use socket activation");
    }
}

#[test]
fn a_count_out_of_range_is_refused_and_one_for_another_process_ignored() {
    for (count, code, said) in [("0", 1, "LISTEN_FDS"), ("17", 1, "out of range"), ("x", 1, "out of range")] {
        let script = format!("LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" null");
        let mut command = tool("sh");
        run(command.args(["-c", &script]).arg(nbdkit().get_program())).exits(code).says(said);
    }
    run(nbdkit().args(["-U", "-", "null", "--run", "true"]).env("LISTEN_PID", "1").env("LISTEN_FDS", "1"))
        .ok();
}

#[test]
fn readiness_is_told_when_clients_can_connect() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(nbdkit_tests::HANG)).unwrap();
    let socket = dir.path().join("socket");
    let mut server = nbdkit()
        .args(["-f", "memory", "1M", "-U"])
        .arg(&socket)
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .spawn()
        .unwrap();
    let mut message = [0; 64];
    let len = manager.recv(&mut message).unwrap();
    assert_eq!(&message[..len], b"READY=1\n");
    assert!(greeted(&Address::Unix(socket)));
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn the_units_are_sound() {
    let dir = tempfile::tempdir().unwrap();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/systemd");
    for name in ["nbdkit@.service", "nbdkit@.socket"] {
        let unit = fs::read_to_string(units.join(name)).unwrap();
        let program = nbdkit().get_program().to_string_lossy().into_owned();
        // Manual pages are checked for, and need not be installed here.
        let unit = unit.replace("/usr/bin/nbdkit", &program).replace("Documentation=", "#");
        fs::write(dir.path().join(name), unit).unwrap();
    }
    for name in ["nbdkit@.service", "nbdkit@.socket"] {
        let path = dir.path().join(name.replace('@', "@var-tmp-disk.img"));
        fs::copy(dir.path().join(name), &path).unwrap();
        let output = run(tool("systemd-analyze").arg("verify").arg(&path)).ok();
        let about_ours: Vec<_> = output.stderr.lines().filter(|line| line.contains("nbdkit")).collect();
        assert!(about_ours.is_empty(), "{about_ours:?}");
    }
}

#[test]
fn vsock_is_bound() {
    if !Path::new("/dev/vsock").exists() || !supports(Feature::ErrorText) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let pidfile = dir.path().join("pid");
    let mut server =
        nbdkit().args(["-f", "--vsock", "--port=10809", "null", "1M", "-P"]).arg(&pidfile).spawn().unwrap();
    until("it is ready", || pidfile.exists() || server.try_wait().unwrap().is_some());
    assert!(server.try_wait().unwrap().is_none(), "it has ended");
    let sockets = run(tool("ss").args(["--vsock", "--listening", "--numeric"])).ok();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(sockets.text().contains("10809") || !sockets.text().contains("v_str"), "{}", sockets.text());
    let output = run_nbdkit(&["--vsock", "-p", "4242", "null", "--run", "echo $uri $port"]).ok();
    assert_eq!(output.text(), "nbd+vsock://1:4242 4242");
    run_nbdkit(&["--vsock", "-p", "x", "null"]).exits(1).says("-p");
}

#[test]
fn another_user_and_group() {
    if !nix::unistd::geteuid().is_root() {
        run_nbdkit(&["-u", "root", "-U", "-", "null", "--run", "true"]).fails();
        return;
    }
    // Bound by one user, and the pid file written by the other.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (socket, pidfile) = (dir.path().join("socket"), dir.path().join("pid"));
    let mut command = nbdkit();
    command
        .args(["-f", "-u", "nobody", "-g", "nogroup", "memory", "1M", "-U"])
        .arg(&socket)
        .arg("-P")
        .arg(&pidfile);
    let mut server = command.spawn().unwrap();
    until("the pid file", || pidfile.exists() || server.try_wait().unwrap().is_some());
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let served = greeted(&Address::Unix(socket));
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(served);
    let id = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let nobody: Vec<_> =
        passwd.lines().find(|line| line.starts_with("nobody:")).unwrap().split(':').collect();
    assert_eq!(
        (id("Uid:"), id("Gid:"), id("Groups:")),
        (nobody[2].into(), nobody[3].into(), nobody[3].into())
    );
    for (flag, name) in [("-u", "no-such-user"), ("-g", "no-such-group")] {
        run_nbdkit(&[flag, name, "-U", "/nonexistent/x", "null"]).exits(1);
    }
}

#[test]
fn memory_can_be_locked() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let server = Launch::new(["--swap", "memory", "1M"]).start();
    let status = fs::read_to_string(format!("/proc/{}/status", server.process().0)).unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    assert_ne!(locked.split_whitespace().next().unwrap(), "0", "{locked}");
}

#[test]
fn a_label_where_there_is_no_selinux_is_refused() {
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        let args = ["--selinux-label=system_u:object_r:svirt_t:s0", "-U", "-", "null", "--run", "true"];
        run_nbdkit(&args).exits(1).says("selinux-label: setsockcreatecon");
    }
}

#[test]
fn errors_can_go_to_a_file() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let target = format!("--log={}", log.display());
    run_nbdkit(&[&target, "-U", "-", "null", "--run", "true"]).ok();
    assert_eq!(fs::read_to_string(&log).unwrap(), "");
    assert_eq!(run_nbdkit(&[&target, "memory"]).exits(1).stderr, "");
    run_nbdkit(&[&target, "memory"]).exits(1);
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.starts_with("nbdkit: error: you must specify size="), "{text}");
}

#[test]
fn debug_flags_silence_the_data_path_and_unknown_ones_only_warn() {
    let read = "nbdcopy \"$uri\" null:";
    let all = ["-v", "-U", "-", "memory", "1M", "--run", read];
    assert!(run_nbdkit(&all).ok().stderr.contains("count="));
    let quiet = [&["-D", "nbdkit.backend.datapath=0"][..], &all].concat();
    let output = run_nbdkit(&quiet).ok();
    assert!(!output.stderr.contains("count=") && output.stderr.contains("open"), "{}", output.stderr);
    run_nbdkit(&["-D", "foo.bar=1", "-U", "-", "null", "--run", "true"]).ok().says("was not used");
}

#[test]
fn the_uri_can_be_printed() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let output =
        run_nbdkit(&["--print-uri", "-p", "0", "-i", "127.0.0.1", "-f", "null", "--run", "echo $port"]).ok();
    let lines: Vec<_> = output.text().lines().collect();
    let port = lines[4];
    assert_eq!(
        lines[..4],
        [
            format!("nbd://localhost:{port}"),
            format!("Shell-quoted URI: nbd://localhost:{port}"),
            "Command to query the NBD endpoint:".into(),
            format!("  nbdinfo nbd://localhost:{port}"),
        ]
    );
}

#[test]
fn plugins_and_filters_are_known_by_the_paths_of_the_original() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let output = run_nbdkit(&[
        "/any/dir/nbdkit-memory-plugin.so",
        "1M",
        "--filter=/any/nbdkit-offset-filter.so",
        "offset=512",
        "-U",
        "-",
        "--run",
        "nbdinfo --size \"$uri\"",
    ]);
    assert_eq!(output.ok().text(), "1048064");
    run_nbdkit(&["/any/dir/other.so"]).exits(1).says("other.so");
}
