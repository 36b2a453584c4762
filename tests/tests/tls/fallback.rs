// SPDX-License-Identifier: BSD-3-Clause
//! The filter tls-fallback: who encrypts sees the disk, who does not sees a note.

use nbdkit_tests::{Server, nbdkit, run, tool};

use crate::credentials::Folder;

#[test]
fn one_export_for_each() {
    let (folder, _) = Folder::complete();
    let args = ["--tls=on", &folder.option(), "--filter=tls-fallback", "pattern", "1M", "tlsreadme=use TLS"];
    let server = Server::start(args);
    let mut note = b"use TLS".to_vec();
    note.resize(512, 0);
    assert_eq!(run(tool("nbdcopy").arg(server.uri()).arg("-")).ok().stdout, note);
    assert_eq!(run(tool("nbdcopy").arg(server.uri_of("other")).arg("-")).ok().stdout, note);
    let info = run(tool("nbdinfo").arg("--json").arg(server.uri())).ok().json();
    assert_eq!(info["exports"][0]["is_read_only"], true, "{info}");
    assert_eq!(info["exports"][0]["block_minimum"].as_u64().unwrap_or(1), 1, "{info}");
    let info = run(tool("nbdinfo").arg("--json").arg(folder.uri(&server))).ok().json();
    assert_eq!(info["exports"][0]["export-size"], 1 << 20, "{info}");
}

#[test]
fn not_in_front_of_one_connection_at_a_time() {
    let mut command = nbdkit();
    command.args([
        "-U",
        "-",
        "--filter=tls-fallback",
        "--filter=noparallel",
        "null",
        "serialize=connections",
    ]);
    run(command.args(["--run", "true"])).exits(1).says("tls-fallback");
}
