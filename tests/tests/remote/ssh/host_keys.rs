// SPDX-License-Identifier: BSD-3-Clause
//! Which machines are believed to be who they say they are.

use super::*;
use std::fs;

fn ready() -> Sshd {
    let sshd = Sshd::start();
    fs::write(sshd.path("disk.img"), [0; 4096]).unwrap();
    sshd
}

/// The server with that file of known hosts.
fn known(sshd: &Sshd, file: &str) -> Server {
    let file = format!("known-hosts={}", sshd.path(file).display());
    Server::start(but(beside(sshd, "disk.img"), "known-hosts", &[&file]))
}

#[test]
fn a_key_of_any_kind_is_enough() {
    let sshd = ready();
    // The server has all kinds; it must be asked for the one that is known.
    for kind in sshd::KINDS {
        sshd.known_hosts(kind, &[kind]);
        opens(&known(&sshd, kind));
    }
    sshd.known_hosts("hashed", &["rsa"]);
    run(tool("ssh-keygen").args(["-H", "-f"]).arg(sshd.path("hashed"))).ok();
    assert!(fs::read_to_string(sshd.path("hashed")).unwrap().starts_with("|1|"));
    opens(&known(&sshd, "hashed"));
}

#[test]
fn an_unknown_machine_is_refused() {
    let sshd = ready();
    fs::write(sshd.path("empty"), "").unwrap();
    for file in ["empty", "missing"] {
        let why = refuses(&known(&sshd, file));
        assert!(
            why.contains("the host key is unknown") && why.contains(file) && why.contains("SHA256:"),
            "{why}"
        );
    }
    let fingerprint = run(tool("ssh-keygen").arg("-lf").arg(sshd.path("host_ed25519.pub"))).ok();
    let shown = fingerprint.text().split(' ').nth(1).unwrap();
    let why = refuses(&known(&sshd, "empty"));
    assert!(why.contains(shown), "{why} has the fingerprint {shown}");
}

#[test]
fn a_machine_with_another_key_is_refused() {
    let sshd = ready();
    // That of the user stands for the key which the machine had once.
    let line = format!("# first\n[127.0.0.1]:{} {}", sshd.port(), sshd::public(&sshd.path("user_ed25519")));
    fs::write(sshd.path("changed"), line).unwrap();
    let why = refuses(&known(&sshd, "changed"));
    let place = format!("{}:2", sshd.path("changed").display());
    assert!(why.contains("host key for server changed") && why.contains(&place), "{why}");
}

#[test]
fn a_revoked_key_is_refused() {
    let sshd = ready();
    let good = fs::read_to_string(sshd.known_hosts("good", &["ed25519"])).unwrap();
    fs::write(sshd.path("revoked"), format!("{good}@revoked * {}", sshd::public(&sshd.path("host_ed25519"))))
        .unwrap();
    let why = refuses(&known(&sshd, "revoked"));
    assert!(why.contains("is revoked in"), "{why}");
}

#[test]
fn nobody_looks_if_told_so() {
    let sshd = ready();
    let more = ["known-hosts=/nowhere", "verify-remote-host=false"];
    opens(&Server::start(but(beside(&sshd, "disk.img"), "known-hosts", &more)));
}
