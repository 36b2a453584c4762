// SPDX-License-Identifier: BSD-3-Clause
//! Pre-shared keys with real peers.

use std::path::PathBuf;

use nbdkit_tests::data::{assert_same, random};
use nbdkit_tests::files::scratch;
use nbdkit_tests::{Launch, Server, nbdkit, run, tool, until};

use crate::credentials::{Folder, uri};
use crate::door::{REPLY, through};

const KEYS: &str = "alice:00112233445566778899aabbccddeeff\nbob:a1b2c3d4e5f60718293a4b5c6d7e8f90\n";

fn keys(folder: &Folder) -> PathBuf {
    folder.put("keys.psk", KEYS, 0o600)
}

fn serve(folder: &Folder, tcp: bool) -> Server {
    let psk = format!("--tls-psk={}", keys(folder).display());
    let launch = Launch::new(["--tls=require", &psk, "-v", "-D", "nbdkit.tls.session=1", "memory", "8M"]);
    if tcp { launch.tcp().start() } else { launch.start() }
}

#[test]
fn libnbd_with_user_names() {
    let (folder, _) = Folder::complete();
    for tcp in [false, true] {
        let server = serve(&folder, tcp);
        for user in ["alice", "bob"] {
            let uri = uri(&server, user, &format!("tls-psk-file={}", keys(&folder).display()));
            let info = run(tool("nbdinfo").arg("--json").arg(&uri)).ok().json();
            assert_eq!((&info["TLS"], &info["exports"][0]["export-size"]), (&true.into(), &(8 << 20).into()));
            until("the session", || server.stderr().contains(&format!("pre-shared key of '{user}'")));

            let dir = scratch();
            let (there, back) = (dir.path().join("there"), dir.path().join("back"));
            std::fs::write(&there, random(1, 8 << 20)).unwrap();
            run(tool("nbdcopy").arg(&there).arg(&uri)).ok();
            run(tool("nbdcopy").arg(&uri).arg(&back)).ok();
            assert_same(&there, &back);

            let script = format!(
                "h.set_uri_allow_local_file(True)\nh.connect_uri({uri:?})\nassert h.get_tls_negotiated()\nh.pread(512, 0)"
            );
            run(tool("nbdsh").args(["-c", &script])).ok();
        }
    }
}

#[test]
fn qemu_with_a_user_name() {
    let (folder, _) = Folder::complete();
    // qemu looks for this name.
    keys(&folder);
    let server = serve(&folder, true);
    let nbdkit_tests::raw::Address::Tcp(port) = server.address() else { panic!("on TCP") };
    let object =
        format!("tls-creds-psk,id=tls0,dir={},username=alice,endpoint=client", folder.path().display());
    let image = format!("driver=nbd,host=localhost,port={port},tls-creds=tls0");
    let info = run(tool("qemu-img").args(["info", "--object", &object, "--image-opts", &image])).ok();
    assert!(info.text().contains("virtual size: 8 MiB"), "{}", info.text());
    let mut io = tool("qemu-io");
    io.args(["--object", &object, "--image-opts", &image]);
    let io =
        run(io.args(["-c", "write -P 7 65536 1M", "-c", "read -P 7 65536 1M", "-c", "read -P 0 0 64k"])).ok();
    assert!(!io.text().contains("failed"), "{}", io.text());
}

#[test]
fn both_versions_of_tls() {
    let (folder, _) = Folder::complete();
    for version in ["TLS1.2", "TLS1.3"] {
        let psk = format!("--tls-psk={}", keys(&folder).display());
        let priority = format!("--tls-priority=NORMAL:-VERS-ALL:+VERS-{version}");
        let args = ["--tls=require", &psk, &priority, "-v", "-D", "nbdkit.tls.session=1", "memory", "1M"];
        let server = Server::start(args);
        let query = format!("tls-psk-file={}", keys(&folder).display());
        run(tool("nbdinfo").arg(uri(&server, "alice", &query))).ok();
        assert!(server.stderr().contains(&format!("TLS session: {version}, ")), "{}", server.stderr());
    }
}

/// With a server that would take either version.
#[test]
fn clients_that_want_one_version() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, true);
    let key = "00112233445566778899aabbccddeeff";
    let sessions = |version: &str| {
        let stderr = server.stderr();
        stderr.lines().filter(|line| line.contains(version) && line.ends_with("key of 'alice'")).count()
    };
    for [version, option, cipher] in [
        ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
        ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
        ["-tls1_2", "-cipher", "DHE-PSK-AES128-GCM-SHA256"],
        ["-tls1_2", "-cipher", "DHE-PSK-AES256-GCM-SHA384"],
        ["-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305"],
        ["-tls1_2", "-cipher", "PSK-AES256-GCM-SHA384"],
    ] {
        let output = through(&server, |port| {
            let mut command = tool("openssl");
            command.args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}"), version]);
            command.args([option, cipher, "-psk_identity", "alice", "-psk", key]);
            command
        });
        assert!(output.stdout.starts_with(REPLY), "{version} {cipher}: {}", output.report());
    }
    assert_eq!((sessions("TLS1.2"), sessions("TLS1.3")), (4, 2), "{}", server.stderr());

    for (version, exchange) in [
        ("TLS1.2", "+DHE-PSK"),
        ("TLS1.2", "+ECDHE-PSK"),
        ("TLS1.2", "+PSK"),
        ("TLS1.3", "+ECDHE-PSK:+DHE-PSK:+PSK"),
    ] {
        let before = sessions(version);
        let priority = format!("NORMAL:-VERS-ALL:+VERS-{version}:-KX-ALL:{exchange}");
        // What it says about the session is none of our business: some versions crash over DHE-PSK.
        through(&server, |port| {
            let mut command = tool("gnutls-cli");
            command.args(["--port", &port.to_string(), "--priority", &priority]);
            command.args(["--pskusername", "alice", "--pskkey", key, "127.0.0.1"]);
            command
        });
        assert_eq!(sessions(version), before + 1, "{priority}: {}", server.stderr());
    }

    let before = sessions("TLS1.2");
    let nbdkit_tests::raw::Address::Tcp(port) = server.address() else { panic!("on TCP") };
    let object = format!(
        "tls-creds-psk,id=tls0,dir={},username=alice,endpoint=client,priority=NORMAL:-VERS-ALL:+VERS-TLS1.2",
        folder.path().display()
    );
    let image = format!("driver=nbd,host=localhost,port={port},tls-creds=tls0");
    run(tool("qemu-img").args(["info", "--object", &object, "--image-opts", &image])).ok();
    assert!(sessions("TLS1.2") > before, "{}", server.stderr());
}

#[test]
fn a_file_that_everybody_may_read() {
    let (folder, _) = Folder::complete();
    for (mode, warns) in [(0o600, false), (0o640, false), (0o604, true), (0o644, true)] {
        let file = folder.put("keys.psk", KEYS, mode);
        let psk = format!("--tls-psk={}", file.display());
        let output = run(nbdkit().args([&psk, "null", "--run", "echo $tls"])).ok();
        let warning =
            format!("nbdkit: warning: {}: everybody may read these keys: chmod o-r\n", file.display());
        let expected = if warns { warning.as_str() } else { "" };
        assert_eq!((output.text(), &*output.stderr), ("1", expected), "{mode:o}");
        let output = run(nbdkit().args(["--tls=off", &psk, "null", "--run", "true"])).ok();
        assert_eq!(output.stderr, "", "{mode:o}: nobody reads it");
    }
}

#[test]
fn a_new_user_needs_no_restart() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, false);
    let more = folder.put("keys.psk", &format!("{KEYS}carol:0123456789abcdef0123456789abcdef\n"), 0o600);
    run(tool("nbdinfo").arg(uri(&server, "carol", &format!("tls-psk-file={}", more.display())))).ok();
}

#[test]
fn what_a_captive_command_gets_to_know() {
    let (folder, _) = Folder::complete();
    let file = keys(&folder);
    let shown = "echo \"$tls|$tls_certificates|$tls_psk|$uri\"";
    let mut command = nbdkit();
    command.args(["--tls=require", "--tls-psk=keys.psk", "null", "--run", shown]).current_dir(folder.path());
    let output = run(&mut command).ok();
    let parts: Vec<&str> = output.text().split('|').collect();
    assert_eq!(parts[..3], ["2", "", file.to_str().unwrap()]);
    assert!(parts[3].starts_with("nbds+unix://?socket=/tmp/nbdkit"), "{parts:?}");
    assert!(parts[3].ends_with(&format!("&tls-psk-file={}", file.display())), "{parts:?}");
    run(nbdkit().args(["--tls-psk=/nonexistent", "null", "--run", "true"]))
        .exits(1)
        .says("error: /nonexistent: No such file or directory\n");
    let broken = folder.put("broken.psk", "alice\n", 0o600);
    run(nbdkit().arg(format!("--tls-psk={}", broken.display())).args(["null", "--run", "true"]))
        .exits(1)
        .says(broken.to_str().unwrap());
}
