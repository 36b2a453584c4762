// SPDX-License-Identifier: BSD-3-Clause
//! The nbd plugin in front of real servers: what they have comes through unchanged, and what becomes of it when they go.

mod outage;
mod servers;
mod tls;
mod ways;

use nbdkit_tests::data::{assert_bytes, assert_same, random};
use nbdkit_tests::files::{ext4_image, scratch};
use nbdkit_tests::peers::{nbdsh, trixie};
use nbdkit_tests::raw::err;
use nbdkit_tests::{Launch, Server, nbdkit, run, tool};
use servers::Foreign;

/// Our proxy in front of `uri`.
#[track_caller]
fn proxy(uri: &str) -> Server {
    Server::start(["nbd", uri])
}

#[test]
fn copies_come_through_every_server_and_back() {
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "256M");
    let copy = dir.path().join("copy");
    let back = dir.path().join("back");
    std::fs::copy(&image, &back).unwrap();
    for server in Foreign::all(&image) {
        let proxy = proxy(&server.uri());
        run(tool("nbdcopy").arg(proxy.uri()).arg(&copy)).ok();
        assert_same(&copy, &image);
        // Everything zero, then everything again.
        let io =
            run(tool("qemu-io").args(["-f", "raw", "-c", "write -z 0 256M", "-c", "flush"]).arg(proxy.uri()))
                .ok();
        assert!(!io.report().contains("failed"), "{}", io.report());
        run(tool("nbdcopy").arg(&back).arg(proxy.uri())).ok();
        assert_same(&image, &back);
        println!("{} served", server.name);
    }
}

#[test]
fn clients_see_what_the_server_said() {
    let dir = scratch();
    let image = ext4_image(dir.path(), "ext4", "256M");
    for server in Foreign::all(&image) {
        let info = |uri: &str| {
            let mut info = run(trixie("nbdinfo").args(["--json"]).arg(uri)).ok().json();
            let export = info["exports"][0].as_object_mut().unwrap();
            // The address, of course; and what each connection negotiates for itself.
            for key in ["uri", "contexts", "can_df", "can_block_status_payload", "is_tls", "export-name"] {
                export.remove(key);
            }
            if server.name == "nbd-server" {
                // It opens the file, and knows its size, only when it is used.
                export.remove("export-size");
                export.remove("export-size-str");
            }
            info["exports"][0].clone()
        };
        let (mut direct, mut proxied) = (info(&server.uri()), info(&proxy(&server.uri()).uri()));
        if !direct["can_zero"].as_bool().unwrap() {
            // Where the server cannot zero, the proxy writes zeroes.
            for info in [&mut direct, &mut proxied] {
                info.as_object_mut().unwrap().remove("can_zero");
            }
        }
        assert_eq!(proxied, direct, "{}", server.name);
    }
}

#[test]
fn maps_of_qcow2_are_those_of_qemu() {
    let dir = scratch();
    let image = dir.path().join("image.qcow2");
    run(tool("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&image).arg("6G")).ok();
    let writes =
        ["-c", "write 1M 3M", "-c", "write 5G 64k", "-c", "write -z 2M 512k", "-c", "write -z -u 2560k 64k"];
    run(tool("qemu-io").args(["-f", "qcow2"]).args(writes).arg(&image)).ok();
    let server = Foreign::qemu(&image, "qcow2");
    for program in ["old", "new"] {
        let map = |uri: &str| {
            let mut nbdinfo = if program == "old" { tool("nbdinfo") } else { trixie("nbdinfo") };
            run(nbdinfo.args(["--map", "--json"]).arg(uri)).ok().json()
        };
        let direct = map(&server.uri());
        assert!(direct.as_array().unwrap().len() > 4, "{direct}");
        assert_eq!(map(&proxy(&server.uri()).uri()), direct);
    }
}

#[test]
fn errors_keep_their_names() {
    for (name, code) in [
        ("EPERM", err::EPERM),
        ("EIO", err::EIO),
        ("ENOMEM", err::ENOMEM),
        ("EINVAL", err::EINVAL),
        ("ENOSPC", err::ENOSPC),
        ("ESHUTDOWN", err::ESHUTDOWN),
    ] {
        let error = format!("error-pwrite={name}");
        let args = ["--filter=error", "memory", "1M", &error, "error-pwrite-rate=100%"];
        let server = Server::start(args);
        let proxy = proxy(&server.uri());
        for (style, mut client) in [("simple", proxy.connect()), ("extended", proxy.connect())] {
            if style == "simple" {
                client.simple("");
            } else {
                client.extended("");
            }
            assert_eq!(client.write(0, &[1; 512], 0), Err(code), "{name}, {style}");
            client.read(0, 512).unwrap();
            client.disconnect();
        }
        assert!(proxy.stderr().contains(&format!("NBD_{name}")), "{}", proxy.stderr());
    }
}

/// A server that refuses what does not fit into its block sizes gets only what does, or what clients insist on.
#[test]
fn block_sizes_are_those_of_the_server() {
    let dir = scratch();
    let image = dir.path().join("image");
    std::fs::write(&image, random(3, 8 << 20)).unwrap();
    let sizes = ["blocksize-minimum=4096", "blocksize-preferred=64K", "blocksize-maximum=1M"];
    let file = image.to_str().unwrap();
    let args =
        [&["--filter=blocksize-policy", "file", file, "blocksize-error-policy=error"], &sizes[..]].concat();
    let server = Server::start(args);
    let proxy = proxy(&server.uri());
    let info = run(tool("nbdinfo").arg("--json").arg(proxy.uri())).ok().json();
    let export = &info["exports"][0];
    let said = ["minimum", "preferred", "maximum"].map(|size| export[format!("block_size_{size}")].clone());
    assert_eq!(said, [4096, 64 << 10, 1 << 20], "{info}");
    let mut client = proxy.connect();
    client.structured("");
    // Too long for the server, and asked for in pieces.
    assert_bytes("long", &client.read(4096, 4 << 20).unwrap(), &random(3, 8 << 20)[4096..][..4 << 20]);
    client.write(0, &random(4, 3 << 20), 0).unwrap();
    assert_bytes("written", &std::fs::read(&image).unwrap()[..3 << 20], &random(4, 3 << 20));
    assert_eq!(client.read(512, 512), Err(err::EINVAL));
    client.disconnect();
}

#[test]
fn holes_of_a_read_stay_holes() {
    let server = Server::start(["memory", "1M"]);
    let proxy = proxy(&server.uri());
    nbdsh(
        &proxy.uri(),
        r#"
h.pwrite(b"x" * 65536, 65536)
seen = []
def chunk(buf, offset, status, err):
    seen.append((offset, len(buf), status))
h.pread_structured(262144, 0, chunk)
seen.sort()
assert [status for _, _, status in seen] == [nbd.READ_HOLE, nbd.READ_DATA, nbd.READ_HOLE], seen
"#,
    )
    .ok();
}

#[test]
fn lists_and_names_of_the_server_with_dynamic_export() {
    let dir = scratch();
    for name in ["one", "two"] {
        std::fs::write(dir.path().join(name), vec![b'x'; if name == "one" { 512 } else { 1024 }]).unwrap();
    }
    let folder = format!("dir={}", dir.path().display());
    let server = Server::start(["file", &folder]);
    let socket = format!("socket={}", server.socket().display());
    let dynamic = Server::start(["nbd", &socket, "dynamic-export=true"]);
    let list = run(tool("nbdinfo").args(["--list", "--json"]).arg(dynamic.uri())).ok().json();
    let mut names: Vec<_> = list["exports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|export| export["export-name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["one", "two"]);
    for (name, size) in [("one", "512"), ("two", "1024")] {
        assert_eq!(run(tool("nbdinfo").arg("--size").arg(dynamic.uri_of(name))).ok().text(), size);
    }
    run(tool("nbdinfo").arg("--size").arg(dynamic.uri_of("three"))).fails();
    assert!(dynamic.stderr().contains("NBD_OPT_GO"), "{}", dynamic.stderr());

    // Without it there is one export, whatever it is called.
    let fixed = Server::start(["nbd", &socket, "export=two"]);
    let list = run(tool("nbdinfo").args(["--list", "--json"]).arg(fixed.uri())).ok().json();
    assert_eq!(list["exports"].as_array().unwrap().len(), 1);
    assert_eq!(list["exports"][0]["export-name"], "two");
    assert_eq!(run(tool("nbdinfo").arg("--size").arg(fixed.uri_of("one"))).ok().text(), "1024");
}

#[test]
fn read_only_is_read_only_on_either_side() {
    for (server, proxy) in [(&["-r"][..], &[][..]), (&[], &["-r"])] {
        let server = Server::start(server.iter().chain(&["memory", "1M"]));
        let uri = server.uri();
        let proxy = Server::start(proxy.iter().copied().chain(["nbd", &*uri]));
        let info = run(tool("nbdinfo").arg("--json").arg(proxy.uri())).ok().json();
        assert_eq!(info["exports"][0]["is_read_only"], true);
        let mut client = proxy.connect();
        client.structured("");
        assert_eq!(client.write(0, &[1; 512], 0), Err(err::EPERM));
    }
}

#[test]
fn one_connection_for_all_with_shared() {
    for (shared, connections) in [("true", 1), ("false", 4)] {
        let server = Server::start(["memory", "1M"]);
        let listening = server.process().sockets();
        let proxy = Launch::new(["nbd", &server.uri(), &format!("shared={shared}")]).start();
        let mut clients: Vec<_> = (0..4).map(|_| proxy.connect()).collect();
        for (byte, client) in (1..).zip(&mut clients) {
            client.structured("");
            client.write(512 * u64::from(byte), &[byte; 512], 0).unwrap();
        }
        assert_eq!(server.process().sockets() - listening, connections, "shared={shared}");
        assert_eq!(clients[0].read(512 * 4, 512).unwrap(), [4; 512]);
        drop(clients);
    }
}

#[test]
fn mistakes_end_before_anything_starts() {
    for (args, why) in [
        (
            &[][..],
            "exactly one of ‘socket’, ‘hostname’, ‘vsock’, ‘command’, ‘socket-fd’ and ‘uri’ parameters must be specified",
        ),
        (
            &["socket=/s", "hostname=h"],
            "cannot mix Unix ‘socket’, TCP ‘hostname’/‘port’, ‘vsock’, ‘command’, ‘socket-fd’ and ‘uri’ parameters",
        ),
        (&["socket=/s", "port=1"], "‘port’ parameter should only be used with ‘hostname’ or ‘vsock’"),
        (
            &["socket=/s", "dynamic-export=true", "export=x"],
            "cannot mix 'dynamic-export' with explicit export name",
        ),
        (&["command=true", "dynamic-export=true"], "cannot use 'dynamic-export' with shared connection"),
        (&["socket=/s", "color=blue"], "unknown parameter 'color'"),
        (&["http://localhost/"], "unknown NBD URI scheme: http"),
        (&["socket=/no/such/socket", "shared=true"], "/no/such/socket: connect: No such file or directory"),
        (&["socket-fd=99"], "Bad file descriptor"),
        (&["command=/no/such/program"], "/no/such/program: "),
        (&["command=no-such-program"], "no-such-program"),
        (&["socket=/s", "tls=require", "tls-certificates=/no/such/folder"], "/no/such/folder"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        run(nbdkit().args(["-f", "-U"]).arg(socket).arg("nbd").args(args)).exits(1).says(why);
    }
}
