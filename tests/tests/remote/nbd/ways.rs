// SPDX-License-Identifier: BSD-3-Clause
//! Every way to a server: addresses, inherited sockets, and programs that are started for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nbdkit_tests::files::scratch;
use nbdkit_tests::process::Process;
use nbdkit_tests::raw::Address;
use nbdkit_tests::{Launch, Server, nbdkit, needs, run, tool, until};

#[track_caller]
fn has_size(proxy: &Server, size: &str) {
    assert_eq!(run(tool("nbdinfo").arg("--size").arg(proxy.uri())).ok().text(), size);
}

#[test]
fn tcp_by_name_number_and_uri() {
    let server = Launch::new(["memory", "1M"]).tcp().start();
    let Address::Tcp(port) = server.address() else { panic!("TCP was asked for") };
    for args in [
        vec!["hostname=localhost".to_owned(), format!("port={port}")],
        vec!["hostname=127.0.0.1".to_owned(), format!("port={port}")],
        vec![format!("nbd://localhost:{port}/anything")],
        vec![format!("uri=nbd://127.0.0.1:{port}"), "export=".to_owned()],
    ] {
        has_size(&Server::start(["nbd".to_owned()].into_iter().chain(args)), "1048576");
    }
    let closed = Server::start(["nbd", "hostname=localhost", "port=1"]);
    run(tool("nbdinfo").arg(closed.uri())).fails();
    assert!(closed.stderr().contains("localhost:1: connect: Connection refused"), "{}", closed.stderr());
}

#[test]
fn vsock() {
    if !needs("vsock-loopback") {
        return;
    }
    let script = r#"
"$0" -f --vsock -p 10811 -P "$1" memory 1M & trap "kill $!" EXIT
until [ -s "$1" ]; do sleep 0.05; done
for way in "vsock=1 port=10811" nbd+vsock://1:10811/; do
    "$0" -U - nbd $way --run 'nbdinfo --size "$uri"' || exit 1
done
"#;
    let dir = scratch();
    let program = nbdkit();
    let output =
        run(tool("bash").args(["-c", script]).arg(program.get_program()).arg(dir.path().join("pid")));
    assert_eq!(output.ok().text(), "1048576\n1048576");
}

/// Also where the kernel knows nothing of vsock.
#[test]
fn vsock_where_nobody_listens() {
    for args in [&["vsock=1", "port=4294967290"][..], &["nbd+vsock://1:4294967290/"]] {
        let proxy = Server::start([&["nbd"], args].concat());
        run(tool("nbdinfo").arg(proxy.uri())).fails();
        let said = proxy.stderr();
        assert!(said.contains("error: open: vsock 1:4294967290: connect: "), "{said}");
    }
}

#[test]
fn a_socket_that_was_connected_before() {
    let server = Launch::new(["memory", "1M"]).tcp().start();
    let Address::Tcp(port) = server.address() else { panic!("TCP was asked for") };
    let connect = format!("exec 7<>/dev/tcp/127.0.0.1/{port} && exec \"$@\"");
    let proxy = Launch::new(["nbd", "socket-fd=7"]).under(["bash", "-c", &connect, "bash"]).start();
    has_size(&proxy, "1048576");
    has_size(&proxy, "1048576");
    // What is no connected socket is not taken.
    let command = "exec 7</dev/null; exec \"$@\"";
    let program = nbdkit();
    let mut bash = tool("bash");
    bash.args(["-c", command, "bash"]).arg(program.get_program()).args([
        "-f",
        "-U",
        "-",
        "nbd",
        "socket-fd=7",
    ]);
    run(&mut bash).fails().says("socket-fd=7");
}

#[test]
fn a_program_is_started_serves_and_is_ended() {
    let dir = scratch();
    let image = dir.path().join("image.qcow2");
    run(tool("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&image).arg("1G")).ok();
    let pid = dir.path().join("pid");
    let args = [
        "nbd".to_owned(),
        "command=qemu-nbd".to_owned(),
        "arg=-f".to_owned(),
        "arg=qcow2".to_owned(),
        "arg=-t".to_owned(),
        format!("arg=--pid-file={}", pid.display()),
        format!("arg={}", image.display()),
    ];
    let mut proxy = Server::start(args);
    has_size(&proxy, "1073741824");
    let mut client = proxy.connect();
    client.structured("");
    client.write(123, b"persists", 0).unwrap();
    client.disconnect();
    let server = Process(fs::read_to_string(&pid).unwrap().trim().parse().unwrap());
    assert!(!server.gone());
    proxy.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(proxy.wait().success());
    assert!(server.gone(), "it was waited for");
    let read = ["-f", "qcow2", "-r", "-c", "read -v 123 8"];
    let io = run(tool("qemu-io").args(read).arg(&image)).ok();
    assert!(io.text().contains("70 65 72 73 69 73 74 73"), "{}", io.report());
}

/// Neither the shell that starts it nor the program itself take anything for an option of theirs.
#[test]
fn words_of_a_command_stay_words() {
    let dir = scratch();
    let program = dir.path().join("-c");
    let said = dir.path().join("said");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$#\" \"$@\" \"$LISTEN_FDS\" > {0}.new\nmv {0}.new {0}\n",
        said.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::join_paths([dir.path(), "/usr/bin".as_ref(), "/bin".as_ref()]).unwrap();
    let mut command = nbdkit();
    command.env("PATH", path).arg("-f").arg("-U").arg(dir.path().join("socket")).args(["nbd", "command=-c"]);
    run(command.args(["arg=-x", "arg=--", "arg=$(touch evil); `a`", "arg="])).exits(1);
    until("the program has said what it got", || said.exists());
    assert_eq!(fs::read_to_string(said).unwrap(), "4\n-x\n--\n$(touch evil); `a`\n\n1\n");
}

#[test]
fn what_scripts_look_for() {
    let dump = run(nbdkit().args(["nbd", "--dump-plugin"])).ok();
    for line in
        ["libnbd_tls=1", "libnbd_uri=1", "libnbd_vsock=1", "libnbd_dynamic_list=1", "magic_config_key=uri"]
    {
        assert!(dump.text().lines().any(|found| found == line), "{line}: {}", dump.report());
    }
}
