// SPDX-License-Identifier: BSD-3-Clause
//! Clients of other projects, with certificates.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

use nbdkit_tests::data::{assert_same, random};
use nbdkit_tests::files::scratch;
use nbdkit_tests::process::Process;
use nbdkit_tests::raw::{Address, BOTH_FLAGS, opt, option};
use nbdkit_tests::{Launch, Output, Server, eventually, nbdkit, run, tool, until};
use nix::sys::signal::Signal;

use crate::credentials::Folder;
use crate::door::REPLY;
use crate::libraries::gnutls_cli;

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

/// It lists, which needs no module of the kernel. It offers TLS 1.2 alone.
#[test]
fn nbd_client() {
    let (folder, _) = Folder::complete();
    let names = "list_exports=printf 'NAMES\\nfirst\\nsecond\\n'";
    let args = ["--tls=require", &folder.option(), "--tls-verify-peer", "eval", "get_size=echo 512", names];
    let server = Launch::new(args).tcp().start();
    let file = |name: &str| folder.path().join(name);
    let list = |certificate: bool| {
        let mut command = tool("nbd-client");
        command.args(["-l", "127.0.0.1", &port(&server).to_string(), "-tlshostname", "localhost"]);
        command.arg("-cacertfile").arg(file("ca-cert.pem"));
        if certificate {
            command.arg("-certfile").arg(file("client-cert.pem")).arg("-keyfile").arg(file("client-key.pem"));
        }
        run(&mut command)
    };
    let output = list(true).ok();
    assert!(output.text().ends_with("\nfirst\nsecond"), "{}", output.report());
    assert!(!list(false).text().contains("first"));
    until("the log line", || server.stderr().contains("client sent no certificate"));
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
