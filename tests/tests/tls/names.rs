// SPDX-License-Identifier: BSD-3-Clause
//! The filter ip: clients are let in by the names in their certificates.

use nbdkit_tests::{Server, run, tool, until};

use crate::credentials::{Authority, Folder, Subject};

const REFUSAL: &str = "client not permitted to connect because of source address restriction";

/// Folders of clients: of two names of one authority, and a name of another.
struct Clients {
    alice: Folder,
    bob: Folder,
    stranger: Folder,
}

/// A server that knows all of them, and lets in who the rules let in.
fn serve(rules: &[&str]) -> (Server, Clients) {
    let (ours, theirs) = (Authority::new("Ours"), Authority::new("Theirs, not ours"));
    let client = |authority: &Authority, name| Folder::trusting(&ours).client(authority, Subject::new(name));
    let clients = Clients {
        alice: client(&ours, "alice"),
        bob: client(&ours, "bob, of course"),
        stranger: client(&theirs, "alice"),
    };
    let folder = Folder::trusting(&ours).server(&ours, Subject::new("server"));
    let both = folder.read("ca-cert.pem") + &Folder::trusting(&theirs).read("ca-cert.pem");
    folder.put("ca-cert.pem", &both, 0o644);
    let option = folder.option();
    let args = ["--tls=require", &option, "--tls-verify-peer", "-v", "-D", "ip.rules=1", "--filter=ip"];
    let args = args.iter().chain(&["memory", "1M"]).chain(rules);
    (Server::start(args), clients)
}

#[test]
fn rules_about_certificates() {
    for (rules, admitted) in [
        (&["allow=dn:CN=alice", "deny=all"][..], [true, false, true]),
        (&["allow=dn:CN=bob\\, *", "deny=all"], [false, true, false]),
        (&["allow=issuer-dn:CN=Ours", "deny=all"], [true, true, false]),
        (&["deny=issuer-dn:CN=Theirs*"], [true, true, false]),
        (&["deny=dn:CN=alice"], [false, true, false]),
        (&["allow=dn:*", "deny=all"], [true, true, true]),
        (&["allow=dn:alice", "deny=all"], [false, false, false]),
    ] {
        let (server, clients) = serve(rules);
        for (client, admitted) in [&clients.alice, &clients.bob, &clients.stranger].into_iter().zip(admitted)
        {
            let before = server.stderr().matches(REFUSAL).count();
            let opened = run(tool("nbdinfo").args(["--size", &client.uri(&server)]));
            let listed = run(tool("nbdinfo").args(["--list", &client.uri(&server)]));
            assert_eq!(opened.status.success(), admitted, "{rules:?}: {}", opened.report());
            assert_eq!(listed.status.success(), admitted, "{rules:?}: {}", listed.report());
            let refused = server.stderr().matches(REFUSAL).count() > before;
            assert_eq!(refused, !admitted, "{rules:?}: {}", server.stderr());
        }
    }
}

#[test]
fn the_rule_that_decides_is_told() {
    let (server, clients) = serve(&["allow=dn:CN=alice", "deny=anyunix"]);
    for line in ["debug: allow=dn:CN=alice\n", "debug: deny=anyunix\n"] {
        assert!(server.stderr().contains(line), "{line}: {}", server.stderr());
    }
    run(tool("nbdinfo").args(["--size", &clients.alice.uri(&server)])).ok();
    until("why alice", || server.stderr().contains("ip[1]: debug: let in by allow=dn:CN=alice\n"));
    run(tool("nbdinfo").args(["--size", &clients.bob.uri(&server)])).fails();
    until("why not bob", || server.stderr().contains("ip[2]: debug: sent away by deny=anyunix\n"));
}

/// Who is not asked for a certificate shows none, and has no name.
#[test]
fn without_certificates_nobody_has_a_name() {
    let (folder, _) = Folder::complete();
    let rules = ["allow=dn:*", "deny=all"];
    let args = ["--tls=on", &folder.option(), "--filter=ip", "memory", "1M"];
    let server = Server::start(args.iter().chain(&rules));
    run(tool("nbdinfo").args(["--size", &folder.uri(&server)])).fails();
    run(tool("nbdinfo").args(["--size", &server.uri()])).fails();
    until("two refusals", || server.stderr().matches(REFUSAL).count() >= 2);
}
