// SPDX-License-Identifier: BSD-3-Clause
//! Clients of other projects, with certificates.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use nbdkit_tests::data::{assert_same, random};
use nbdkit_tests::files::scratch;
use nbdkit_tests::process::Process;
use nbdkit_tests::raw::{Address, BOTH_FLAGS, opt, option};
use nbdkit_tests::{Launch, Output, Server, eventually, nbdkit, run, run_with, tool, until};
use nix::sys::signal::Signal;

use crate::client::agreed;
use crate::credentials::Folder;

fn serve(folder: &Folder, tcp: bool, more: &[&str]) -> Server {
    let mut args = vec!["--tls=require".to_owned(), folder.option()];
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args.extend(["memory".to_owned(), "64M".to_owned()]);
    let launch = Launch::new(args);
    if tcp { launch.tcp().start() } else { launch.start() }
}

fn port(server: &Server) -> u16 {
    match server.address() {
        Address::Tcp(port) => *port,
        Address::Unix(path) => panic!("this server listens on {}", path.display()),
    }
}

#[test]
fn libnbd() {
    let (folder, _) = Folder::complete();
    for (tcp, more) in
        [(false, &[][..]), (true, &[]), (false, &["--tls-verify-peer"]), (true, &["--tls-verify-peer"])]
    {
        let server = serve(&folder, tcp, more);
        let uri = folder.uri(&server);
        let info = run(tool("nbdinfo").arg("--json").arg(&uri)).ok().json();
        assert_eq!((&info["TLS"], &info["exports"][0]["export-size"]), (&true.into(), &(64 << 20).into()));
        run(tool("nbdinfo").arg("--list").arg(&uri)).ok();

        let dir = scratch();
        let (there, back) = (dir.path().join("there"), dir.path().join("back"));
        fs::write(&there, random(1, 64 << 20)).unwrap();
        run(tool("nbdcopy").arg(&there).arg(&uri)).ok();
        run(tool("nbdcopy").args(["--connections=4", "--requests=64"]).arg(&uri).arg(&back)).ok();
        assert_same(&there, &back);

        let script = "h.set_uri_allow_local_file(True)\nh.connect_uri(URI)\nassert h.get_tls_negotiated()\nh.pwrite(b'x' * 100000, 5)\nassert h.pread(100002, 4)[1:-1] == b'x' * 100000\nh.flush()";
        let script = script.replace("URI", &format!("{uri:?}"));
        run(tool("nbdsh").args(["-c", &script])).ok();
        // Whoever does not ask for TLS gets nothing.
        run(tool("nbdinfo").arg(server.uri())).fails();
    }
}

/// What qemu calls with `object` and the options of an image get.
fn qemu(program: &str, object: &str, image: &str, args: &[&str]) -> Output {
    let mut command = tool(program);
    if program == "qemu-img" {
        command.arg("info");
    }
    run(command.args(["--object", object, "--image-opts", image]).args(args))
}

#[test]
fn qemu_with_and_without_certificates_of_clients() {
    let (folder, authority) = Folder::complete();
    let object = |folder: &Folder, verify: &str| {
        format!("tls-creds-x509,id=tls0,dir={},endpoint=client,verify-peer={verify}", folder.path().display())
    };
    let without = Folder::trusting(&authority);
    let (tcp, unix) = (serve(&folder, true, &["--tls-verify-peer"]), serve(&folder, false, &[]));
    let on_tcp = format!("driver=nbd,host=localhost,port={},tls-creds=tls0", port(&tcp));
    let on_unix =
        format!("driver=nbd,path={},tls-creds=tls0,tls-hostname=localhost", unix.socket().display());
    for (image, folder) in [(&on_tcp, &folder), (&on_unix, &folder), (&on_unix, &without)] {
        for verify in ["on", "off"] {
            let object = object(folder, verify);
            let info = qemu("qemu-img", &object, image, &[]).ok();
            assert!(info.text().contains("virtual size: 64 MiB"), "{}", info.text());
            let commands = [
                "-c",
                "write -P 7 65536 4M",
                "-c",
                "read -P 7 65536 4M",
                "-c",
                "read -P 0 8M 1M",
                "-c",
                "flush",
            ];
            let io = qemu("qemu-io", &object, image, &commands).ok();
            assert!(!io.text().contains("failed"), "{}", io.text());
        }
    }
    qemu("qemu-img", &object(&without, "on"), &on_tcp, &[]).fails();
}

/// A port at which TLS begins at once: somebody asks the server for it first.
struct Door {
    port: u16,
    relay: JoinHandle<()>,
}

fn door(server: &Server) -> Door {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = agreed(server).into_socket();
    let relay = thread::spawn(move || {
        let (peer, _) = listener.accept().unwrap();
        // A Unix stream only by type.
        let (mut peer_in, mut peer_out): (TcpStream, TcpStream) = (peer.try_clone().unwrap(), peer);
        let (mut server_in, mut server_out) = (socket.try_clone().unwrap(), socket);
        let up = thread::spawn(move || {
            let _ = io::copy(&mut peer_in, &mut server_out);
            let _ = server_out.shutdown(std::net::Shutdown::Write);
        });
        let _ = io::copy(&mut server_in, &mut peer_out);
        let _ = peer_out.shutdown(std::net::Shutdown::Both);
        up.join().unwrap();
    });
    Door { port, relay }
}

/// Runs a program of TLS through a door; it says `NBD_OPT_ABORT` in TLS.
fn through(server: &Server, command: impl FnOnce(u16) -> Command) -> Output {
    let door = door(server);
    let dir = scratch();
    let said = dir.path().join("said");
    File::create(&said).unwrap().write_all(&option(opt::ABORT, &[])).unwrap();
    let output = run_with(&mut command(door.port), File::open(&said).unwrap());
    door.relay.join().unwrap();
    output
}

/// The magic number of an option reply; what follows has bytes that programs for text lose.
const REPLY: &[u8] = &[0x00, 0x03, 0xe8, 0x89, 0x04, 0x55, 0x65, 0xa9];

#[test]
fn openssl() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, true, &["--tls-verify-peer"]);
    let file = |name: &str| folder.path().join(name);
    for (version, cipher) in [
        ("-tls1_3", ["-ciphersuites", "TLS_AES_128_GCM_SHA256"]),
        ("-tls1_3", ["-ciphersuites", "TLS_AES_256_GCM_SHA384"]),
        ("-tls1_3", ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]),
        ("-tls1_2", ["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]),
        ("-tls1_2", ["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"]),
        ("-tls1_2", ["-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]),
    ] {
        let output = through(&server, |port| {
            let mut command = tool("openssl");
            command.args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost"]);
            command
                .args([version, "-connect", &format!("127.0.0.1:{port}"), "-servername", "localhost"])
                .args(cipher);
            command.arg("-CAfile").arg(file("ca-cert.pem"));
            command.arg("-cert").arg(file("client-cert.pem")).arg("-key").arg(file("client-key.pem"));
            command
        });
        assert!(output.stdout.starts_with(REPLY), "{version} {cipher:?}: {}", output.report());
    }
}

#[test]
fn new_keys_are_answered_by_new_keys() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, true, &[]);
    let door = door(&server);
    let dir = scratch();
    let said = dir.path().join("said");
    let mut command = tool("openssl");
    command.args(["s_client", "-tls1_3", "-msg", "-servername", "localhost", "-connect"]);
    command.arg(format!("127.0.0.1:{}", door.port)).arg("-CAfile").arg(folder.path().join("ca-cert.pem"));
    command.stdin(Stdio::piped()).stdout(File::create(&said).unwrap()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Its command for new keys in both directions (RFC 8446, section 4.6.3).
    stdin.write_all(b"K\n").unwrap();
    let heard = |direction: &str| {
        let text = String::from_utf8_lossy(&fs::read(&said).unwrap()).into_owned();
        text.lines().any(|line| line.starts_with(direction) && line.ends_with("KeyUpdate"))
    };
    until("the keys of the client", || heard(">>>") || child.try_wait().unwrap().is_some());
    // At the latest before the next thing that is said.
    stdin.write_all(&option(opt::ABORT, &[])).unwrap();
    until("the keys of the server", || heard("<<<") || child.try_wait().unwrap().is_some());
    drop(stdin);
    until("its end", || child.try_wait().unwrap().is_some());
    assert!(heard("<<<"), "{}", fs::read_to_string(&said).unwrap());
    door.relay.join().unwrap();
}

#[test]
fn on_standard_input_and_output() {
    let (folder, _) = Folder::complete();
    let nbdkit = nbdkit();
    let script = format!(
        "h.set_tls(nbd.TLS_REQUIRE)\nh.set_tls_certificates({:?})\n\
         h.connect_command([{:?}, '-s', '--tls=require', {:?}, 'memory', '1M'])\n\
         h.pwrite(b'x' * 300000, 7)\nassert h.pread(300000, 7) == b'x' * 300000\nh.shutdown()",
        folder.path(),
        nbdkit.get_program(),
        folder.option()
    );
    run(tool("nbdsh").args(["-c", &script])).ok();
}

/// `gnutls-cli` with the certificates of `folder`.
fn gnutls_cli(folder: &Folder, port: u16, version: &str) -> Command {
    let mut command = tool("gnutls-cli");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let priority = format!("NORMAL:-VERS-ALL:+VERS-{version}");
    command.args(["--port", &port.to_string(), "--verify-hostname", "localhost", "--priority", &priority]);
    command.args(["--x509cafile", &file("ca-cert.pem"), "--x509certfile", &file("client-cert.pem")]);
    command.args(["--x509keyfile", &file("client-key.pem"), "127.0.0.1"]);
    command
}

#[test]
fn gnutls() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, true, &["--tls-verify-peer"]);
    for version in ["TLS1.2", "TLS1.3"] {
        let output = through(&server, |port| gnutls_cli(&folder, port, version));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("- Status: The certificate is trusted."), "{}", output.report());
        assert!(text.contains(&format!("- Description: ({version}")), "{}", output.report());
        assert!(text.contains("- Handshake was completed"), "{}", output.report());
    }
}

#[test]
fn gnutls_that_asks_for_tls_itself() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, true, &["--tls-verify-peer", "-v"]);
    let dir = scratch();
    let said = dir.path().join("said");
    for (i, version) in ["TLS1.2", "TLS1.3"].into_iter().enumerate() {
        let heard = |bytes: &[u8]| fs::read(&said).unwrap().windows(bytes.len()).any(|some| some == bytes);
        let mut command = gnutls_cli(&folder, port(&server), version);
        command.arg("--starttls").stdin(Stdio::piped()).stdout(File::create(&said).unwrap());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&[&BOTH_FLAGS.to_be_bytes()[..], &option(opt::STARTTLS, &[])].concat()).unwrap();
        until("the answer to NBD_OPT_STARTTLS", || heard(REPLY));
        // The signal for it to begin with TLS.
        Process(child.id().cast_signed()).signal(Signal::SIGALRM);
        // What it has to say about it comes at its end.
        until("the handshake", || {
            server.stderr().matches("TLS handshake completed").count() > i
                || child.try_wait().unwrap().is_some()
        });
        drop(stdin);
        let status = eventually(|| child.try_wait().unwrap());
        assert!(status.is_some_and(|status| status.success()), "{}", fs::read_to_string(&said).unwrap());
        assert!(heard(format!("- Description: ({version}").as_bytes()));
    }
}
