// SPDX-License-Identifier: BSD-3-Clause
//! `--run`: the server lives as long as a command, which is told where the server is.

use std::io::{Seek, Write};
use std::process::Stdio;

use crate::run_nbdkit;
use nbdkit_tests::{Feature, eventually, nbdkit, process::Process, run, run_with, supports};

/// Runs a captive command under `nbdkit ARGS memory 1M` and returns what it printed. The arguments say where to listen.
#[track_caller]
fn captive(args: &[&str], script: &str) -> String {
    let all: Vec<&str> = args.iter().chain(&["memory", "1M", "--run", script]).copied().collect();
    run_nbdkit(&all).ok().text().to_owned()
}

#[test]
fn the_command_reaches_the_server_by_uri() {
    assert_eq!(captive(&["-U", "-"], r#"nbdinfo --size "$uri""#), "1048576");
    assert_eq!(captive(&["-U", "-"], r#"nbdinfo --size "$nbd""#), "1048576");
    assert_eq!(captive(&["-U", "-"], r#"nbdinfo --size "nbd+unix:///?socket=$unixsocket""#), "1048576");
}

#[test]
fn without_a_place_to_listen_a_private_socket_is_made() {
    if !supports(Feature::RunOnPrivateSocket) {
        return;
    }
    assert_eq!(
        captive(&[], r#"test -S "$unixsocket" && test -z "$port" && nbdinfo --size "$uri""#),
        "1048576"
    );
}

#[test]
fn a_private_socket_is_private_and_removed() {
    let text = captive(
        &["-U", "-"],
        r#"test -S "$unixsocket" && echo "$unixsocket" && stat -c %a "$(dirname "$unixsocket")""#,
    );
    let (socket, mode) = text.split_once('\n').expect("two lines");
    assert_eq!(mode, "700", "the folder of {socket} is open to others");
    let folder = std::path::Path::new(socket).parent().unwrap();
    assert!(eventually(|| (!folder.exists()).then_some(())).is_some(), "{} is left behind", folder.display());
}

#[test]
fn the_variables_tell_where_and_what() {
    let print = r#"printf '%s|%s|%s|%s' "$uri" "$port" "$unixsocket" "$exportname""#;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("one").display().to_string();
    assert_eq!(captive(&["-U", &socket], print), format!("nbd+unix://?socket={socket}||{socket}|"));
    let socket = dir.path().join("two").display().to_string();
    assert_eq!(
        captive(&["-U", &socket, "-e", "disk"], print),
        format!("nbd+unix:///disk?socket={socket}||{socket}|disk")
    );
    let port = free_port();
    assert_eq!(captive(&["-p", &port, "-i", "127.0.0.1"], print), format!("nbd://localhost:{port}|{port}||"));
    assert_eq!(
        captive(&["-p", &port, "-i", "127.0.0.1", "-e", "a/b"], print),
        format!("nbd://localhost:{port}/a/b|{port}||a/b")
    );
}

fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[test]
fn no_name_can_break_out_of_its_quotes() {
    for name in [
        r#"a'b"c"#,
        "$(touch /nonexistent/x)",
        "`id`",
        r"back\slash",
        "$HOME",
        "sp ace",
        "semi;colon",
        "new\nline",
        "é",
        "*",
        "#",
        r#"\"$x"#,
    ] {
        assert_eq!(
            captive(&["-U", "-", "-e", name], r#"printf %s "$exportname""#),
            name.trim_end_matches('\n'),
            "{name:?}"
        );
        // And in the URI nothing is left that a shell or a URI could mistake.
        let uri = captive(&["-U", "-", "-e", name], r#"printf %s "$uri""#);
        assert!(
            uri.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+:/?=&%._-~".contains(&byte)),
            "{uri}"
        );
    }
}

#[test]
fn a_socket_path_with_odd_characters_is_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("it's $HOME & \"more\"");
    let socket = socket.to_str().unwrap();
    let script = r#"printf '%s\n' "$unixsocket" && nbdinfo --size "$uri""#;
    assert_eq!(captive(&["-U", socket], script), format!("{socket}\n1048576"));
}

#[test]
fn the_exit_status_is_that_of_the_command() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 3", 3),
        ("false", 1),
        ("exit 255", 255),
        ("no-such-command-here", 127),
        ("", 0),
    ] {
        run_nbdkit(&["-U", "-", "memory", "1M", "--run", script]).exits(code);
    }
    for signal in [1, 9, 15] {
        run_nbdkit(&["-U", "-", "memory", "1M", "--run", &format!("kill -{signal} $$")]).exits(128 + signal);
    }
}

#[test]
fn a_server_that_cannot_start_runs_no_command() {
    let output = run_nbdkit(&["-U", "-", "memory", "no-size", "--run", "echo ran"]).exits(1);
    assert_eq!(output.text(), "");
}

#[test]
fn a_server_that_is_over_before_it_starts_runs_no_command() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (socket, pidfile, ran) = (path("socket"), path("pid"), format!("touch {}", path("ran")));
    let place = ["-U", &socket, "-P", &pidfile, "--filter=exitwhen", "memory", "1M"];
    let created = format!("exit-when-file-created={}", dir.path().display());
    for event in [created.as_str(), "exit-when-script=exit 88"] {
        for run in [&["--run", &ran][..], &[], &["-f"]] {
            let output = run_nbdkit(&[&place[..], &[event], run].concat()).ok();
            assert_eq!(output.stderr, "", "{event} {run:?}");
            let left: Vec<_> = dir.path().read_dir().unwrap().collect();
            assert!(left.is_empty(), "{event} {run:?}: {left:?}");
        }
    }
}

#[test]
fn the_command_has_standard_input_and_output_to_itself() {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(b"through\n").unwrap();
    input.rewind().unwrap();
    let output =
        run_with(nbdkit().args(["-U", "-", "memory", "1M", "--run", "cat"]), Stdio::from(input)).ok();
    assert_eq!(output.stdout, b"through\n");
}

#[test]
fn the_server_ends_with_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let pidfile = dir.path().join("pid").display().to_string();
    let wait = format!("while ! test -s {pidfile}; do sleep 0.01; done; cat {pidfile}");
    let pid = captive(&["-U", "-", "-P", &pidfile], &wait).parse().expect("a pid");
    assert!(eventually(|| Process(pid).gone().then_some(())).is_some(), "server {pid} outlives its command");
}

#[test]
fn the_command_may_use_the_server_with_several_clients_at_once() {
    let script = r#"for i in 1 2 3 4; do nbdcopy "$uri" null: & done; wait; nbdinfo --size "$uri""#;
    assert_eq!(run(nbdkit().args(["-U", "-", "memory", "64M", "--run", script])).ok().text(), "67108864");
}
