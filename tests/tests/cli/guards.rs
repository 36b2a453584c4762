// SPDX-License-Identifier: BSD-3-Clause
//! Filters at the door: limit, ip and exitwhen. Who is let in, who is not, and when it is over.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nbdkit_tests::raw::{Client, cmd};
use nbdkit_tests::{Feature, Launch, Server, eventually, nbdkit, run, supports, tool, until};

use crate::run_nbdkit;

const RESTRICTED: &str = "client not permitted to connect because of source address restriction";

fn greeted(client: &mut Client) -> bool {
    client.recv(18).is_ok_and(|bytes| bytes.starts_with(b"NBDMAGIC"))
}

/// Turned away before anything was said.
fn turned_away(server: &Server) -> bool {
    let mut client = server.connect();
    !greeted(&mut client) && client.received == 0
}

#[test]
fn a_client_too_many_is_turned_away() {
    let server = Server::start(["--filter=limit", "memory", "1M", "limit=2"]);
    let mut silent = server.connect();
    assert!(greeted(&mut silent));
    let mut ready = server.connect();
    ready.structured("");
    assert!(turned_away(&server) && turned_away(&server));
    assert!(server.stderr().contains("limit: too many clients connected, connection rejected"));
    ready.read(0, 512).expect("others do not notice");
    // One that has said nothing leaves room as well.
    drop(silent);
    until("room for another", || greeted(&mut server.connect()));
}

#[test]
fn whatever_a_client_did_it_leaves_room() {
    let server = Server::start(["--filter=limit", "memory", "1M"]);
    for round in 0..5 {
        let client = eventually(|| {
            Some(server.connect()).and_then(|mut client| greeted(&mut client).then_some(client))
        });
        let mut client = client.expect("room for another");
        match round {
            0 => drop(client),
            1 => client.reset(),
            2 => {
                let _ = client.send(&[0xff; 64]);
            }
            3 => {
                client.send(&3u32.to_be_bytes()).unwrap();
                // NBD_OPT_ABORT
                client.send(b"IHAVEOPT\0\0\0\x02\0\0\0\0").unwrap();
            }
            _ => {
                // NBD_OPT_STARTTLS, and then no TLS.
                client.send(&3u32.to_be_bytes()).unwrap();
                client.send(b"IHAVEOPT\0\0\0\x05\0\0\0\0nonsense").unwrap();
            }
        }
    }
    until("room at last", || greeted(&mut server.connect()));
}

#[test]
fn who_has_seen_the_end_of_a_connection_may_come_again() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let server = Server::start(["--filter=limit", "memory", "1M"]);
    for round in 0..100 {
        let mut client = server.connect();
        client.structured("");
        client.request(cmd::DISC, 0, 0, 0).unwrap();
        client.assert_closed(&format!("in round {round}"));
    }
}

#[test]
fn addresses() {
    let reads = "nbdinfo --size \"$uri\"";
    for (host, rules, admitted) in [
        ("127.0.0.1", &["allow=loopback", "deny=all"][..], true),
        ("127.0.0.1", &["allow=127.0.0.0/8,::1", "deny=all"], true),
        ("127.0.0.1", &["allow=anyipv6", "deny=all"], false),
        ("127.0.0.1", &["deny=127.0.0.1"], false),
        ("::1", &["allow=loopbackv6", "deny=all"], true),
        ("::1", &["allow=127.0.0.1", "deny=all"], false),
        ("::1", &["deny=::/64"], false),
    ] {
        if !supports(Feature::ErrorText) || TcpListener::bind((host, 0)).is_err() {
            println!("no {host} here");
            continue;
        }
        let script = match host {
            "::1" => "nbdinfo --size \"nbd://[::1]:$port\"",
            _ => "nbdinfo --size \"nbd://127.0.0.1:$port\"",
        };
        let args =
            [&["-i", host, "-p", "0", "--filter=ip", "memory", "1M"], rules, &["--run", script]].concat();
        let output = run_nbdkit(&args);
        assert_eq!(output.status.success(), admitted, "{}", output.report());
        assert_eq!(output.stderr.contains(RESTRICTED), !admitted, "{}", output.report());
    }
    run_nbdkit(&["-U", "-", "--filter=ip", "memory", "1M", "deny=anyipv4", "--run", reads]).ok();
}

#[test]
fn processes_and_users() {
    let uid = format!("uid:{}", nix::unistd::geteuid());
    let gid = format!("gid:{}", nix::unistd::getegid());
    let pid = format!("pid:{}", std::process::id());
    for who in [&uid, &gid, &pid] {
        let rules = [format!("allow={who}"), "deny=all".into()];
        let server = Server::start(["--filter=ip", "memory", "1M", &rules[0], &rules[1]]);
        server.assert_serves();
        // That is another process of the same user.
        let other = run(tool("nbdinfo").arg("--size").arg(server.uri()));
        assert_eq!(other.status.success(), who != &pid, "{}", other.report());

        let server = Server::start(["--filter=ip", "memory", "1M", &format!("deny={who}")]);
        assert!(turned_away(&server), "{who}");
        assert!(server.stderr().contains(RESTRICTED));
    }
    let server = Server::start(["--filter=ip", "memory", "1M", "allow=uid:4294967294", "deny=anyunix"]);
    assert!(turned_away(&server));
}

#[test]
fn a_socket_on_standard_input_has_a_process_too() {
    if !supports(Feature::ErrorText) {
        return;
    }
    for (rule, admitted) in
        [(format!("allow=uid:{}", nix::unistd::geteuid()), true), ("allow=pid:1".into(), false)]
    {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let input: OwnedFd = theirs.try_clone().unwrap().into();
        let mut command = nbdkit();
        command.args(["-s", "--filter=ip", "memory", "1M", &rule, "deny=all"]);
        let mut child = command.stdin(input).stdout(OwnedFd::from(theirs)).spawn().unwrap();
        drop(command);
        let mut client = Client::over(ours).unwrap();
        assert_eq!(greeted(&mut client), admitted, "{rule}");
        drop(client);
        assert!(eventually(|| child.try_wait().unwrap()).is_some());
    }
}

#[test]
fn mistakes_in_rules() {
    run_nbdkit(&["--filter=ip", "null", "allow=all,,any"]).exits(1).says("empty entry in rule list");
    run_nbdkit(&["--filter=ip", "null", "deny=nonsense"])
        .exits(1)
        .says("don't know how to parse rule: deny=nonsense");
    if supports(Feature::ErrorText) {
        run_nbdkit(&["--filter=ip", "null", "allow=1.2.3.4/33"])
            .exits(1)
            .says("prefix is > 32 in allow=1.2.3.4/33");
    }
}

#[test]
fn an_event_elsewhere_lets_clients_finish() {
    let mut process = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let event = format!("exit-when-process-exits={}", process.id());
    let mut server = Server::start(["--filter=exitwhen", "memory", "1M", &event]);
    let mut client = server.connect();
    client.structured("");
    drop(process.stdin.take());
    process.wait().unwrap();
    assert!(turned_away(&server));
    client.write(0, b"still served", 0).unwrap();
    assert_eq!(client.read(0, 12).unwrap(), b"still served");
    client.disconnect();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_idle_server_ends_when_it_happens() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let event = format!("exit-when-file-created={}", file.display());
    let mut server = Server::start(["--filter=exitwhen", "memory", "1M", &event, "exit-when-poll=3600"]);
    server.assert_serves();
    std::fs::write(&file, "").unwrap();
    assert_eq!(server.wait().code(), Some(0));

    let event = format!("exit-when-file-deleted={}", file.display());
    let mut server = Server::start(["--filter=exitwhen", "memory", "1M", &event, "exit-when-poll=3600"]);
    server.assert_serves();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_pipe_that_is_closed_ends_it() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    run(tool("mkfifo").arg(&fifo)).ok();
    // Reading and writing, so that opening waits for nobody. The server has the reading end alone.
    let both = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
    let script = format!("exec \"$@\" 8<'{}'", fifo.display());
    let args = ["-f", "--filter=exitwhen", "memory", "1M", "exit-when-pipe-closed=8", "exit-when-poll=3600"];
    let mut server = Launch::new(args).under(["sh", "-c", &script, "sh"]).start();
    server.assert_serves();
    drop(both);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_script_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let answer = dir.path().join("answer");
    std::fs::write(&answer, "3").unwrap();
    let event = format!("exit-when-script=exit $(cat '{}')", answer.display());
    let mut server = Server::start(["--filter=exitwhen", "memory", "1M", &event]);
    server.assert_serves();
    assert!(
        server.stderr().contains("exit-when-script: command failed with exit code 3"),
        "{}",
        server.stderr()
    );
    let mut client = server.connect();
    client.structured("");
    std::fs::write(&answer, "88").unwrap();
    assert!(turned_away(&server));
    assert!(server.stderr().contains("exitwhen: nbdkit is exiting: rejecting new connection"));
    client.disconnect();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_exitwhen_cannot_wait_for() {
    run_nbdkit(&["--filter=exitwhen", "null", "exit-when-process-exits=2147483647"])
        .exits(1)
        .says("exit-when-process-exits: /proc/2147483647/stat: No such file or directory");
    if supports(Feature::ErrorText) {
        run_nbdkit(&["--filter=exitwhen", "null", "exit-when-pipe-closed=1000"])
            .exits(1)
            .says("exit-when-pipe-closed: invalid file descriptor");
        let dump = run_nbdkit(&["--dump-plugin", "--filter=exitwhen", "null"]).ok();
        assert!(dump.text().lines().any(|line| line == "exitwhen_process_exits=yes"), "{}", dump.text());
    }
}
