// SPDX-License-Identifier: BSD-3-Clause
//! Nothing that must stay secret is ever told, whatever is asked for and whatever goes wrong.

use nbdkit_tests::{Server, nbdkit, run, tool};

use crate::credentials::{Folder, uri};

#[test]
fn keys_are_not_told() {
    let (folder, _) = Folder::complete();
    let key = "00112233445566778899aabbccddeeff";
    let psk = folder.put("keys.psk", &format!("alice:{key}\n"), 0o600);
    let other = folder.put("other.psk", "alice:ffeeddccbbaa99887766554433221100\nbob:12\n", 0o600);
    let everything = ["-v", "-D", "nbdkit.tls.log=99", "-D", "nbdkit.tls.session=1"];
    let psk_option = format!("--tls-psk={}", psk.display());

    let server = Server::start([&["--tls=require", &psk_option, "memory", "1M"][..], &everything].concat());
    for file in [&psk, &other] {
        for user in ["alice", "bob"] {
            run(tool("nbdinfo").arg(uri(&server, user, &format!("tls-psk-file={}", file.display()))));
        }
    }
    let told = server.stderr();
    for part in [key, &key[..12], "ffeeddccbbaa", &format!("{:?}", b"\x00\x11\x22\x33")] {
        assert!(!told.contains(part), "{part}: {told}");
    }

    let option = folder.option();
    let server = Server::start([&["--tls=require", &option, "memory", "1M"][..], &everything].concat());
    run(tool("nbdinfo").arg(folder.uri(&server))).ok();
    let told = server.stderr();
    let secret = folder.read("server-key.pem");
    for line in secret.lines().filter(|line| !line.starts_with("-----")) {
        assert!(!told.contains(line), "{told}");
    }

    // Mistakes in the files: what they hold is not quoted.
    for text in
        [format!("alice {key}\n"), format!("alice:{key}xyz\n"), format!("{key}\n"), format!(":{key}\n")]
    {
        let broken = folder.put("broken.psk", &text, 0o600);
        let output =
            run(nbdkit().arg(format!("--tls-psk={}", broken.display())).args(["null", "--run", "true"]))
                .exits(1);
        assert!(!output.stderr.contains(&key[..8]), "{}", output.stderr);
    }
    let half = secret.lines().take(2).collect::<Vec<_>>().join("\n");
    folder.put("server-key.pem", &half, 0o600);
    let output = run(nbdkit().arg(&option).args(["null", "--run", "true"])).exits(1);
    assert!(!output.stderr.contains(secret.lines().nth(1).unwrap()), "{}", output.stderr);
}
