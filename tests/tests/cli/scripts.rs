// SPDX-License-Identifier: BSD-3-Clause
//! The plugins `sh` and `eval` seen from outside: how a script is found, and what its exit codes do to a client.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nbdkit_tests::raw::{self, cmd, err, flag, opt};
use nbdkit_tests::{Feature, Server, nbdkit, run, run_with, supports, tool};

use crate::run_nbdkit;

/// A disk that answers writes with `flush`.
fn server(flush: &str) -> Server {
    Server::start([
        "eval",
        "get_size=echo 1M",
        "pread=dd if=/dev/zero bs=$3 count=1",
        &format!("flush={flush}"),
    ])
}

/// What the client of a flush sees: the error of the reply, if there is one, and that the connection ends.
#[track_caller]
fn end_of_flush(server: &Server) -> Option<u32> {
    let mut client = server.connect();
    client.structured("");
    client.request(cmd::FLUSH, 0, 0, 0).unwrap();
    let reply = client.reply().ok().map(|reply| reply.error().unwrap_or(0));
    client.assert_closed("the script wants it to go");
    reply
}

#[test]
fn exit_codes_that_send_a_client_away() {
    if !supports(Feature::ErrorText) {
        return;
    }
    // 6: without another word. 7 and 8: with an answer.
    for (code, reply) in [(6, None), (7, Some(0)), (8, Some(err::ESHUTDOWN))] {
        let server = server(&format!("exit {code}"));
        assert_eq!(end_of_flush(&server), reply, "exit {code}");
        // Others are served.
        assert_eq!(server.connect().structured("").size, 1 << 20);
    }
}

#[test]
fn nothing_is_answered_after_an_abrupt_end() {
    if !supports(Feature::ErrorText) {
        return;
    }
    // The read is in flight when the flush cuts the connection off, and ends after it.
    let dir = tempfile::tempdir().unwrap();
    let (begun, go_on) = (dir.path().join("begun"), dir.path().join("go-on"));
    let (begun, go_on) = (begun.display(), go_on.display());
    run(tool("mkfifo").arg(format!("{begun}")).arg(format!("{go_on}"))).ok();
    let server = Server::start([
        "eval",
        "thread_model=echo parallel",
        "get_size=echo 1M",
        &format!("pread=echo > {begun}; read x < {go_on}; dd if=/dev/zero bs=$3 count=1"),
        &format!("flush=read x < {begun}; exit 6"),
    ]);
    let mut client = server.connect();
    client.structured("");
    client.request(cmd::READ, 0, 0, 512).unwrap();
    client.request(cmd::FLUSH, 0, 0, 0).unwrap();
    assert_eq!(client.drain().unwrap(), 0, "the client got an answer");
    fs::write(go_on.to_string(), "\n").unwrap();
    assert_eq!(server.connect().structured("").size, 1 << 20);
}

#[test]
fn a_client_can_be_cut_off_in_the_handshake() {
    if !supports(Feature::ErrorText) {
        return;
    }
    for (script, option) in [
        ("open=exit 6", raw::option(opt::GO, &raw::go_payload(b""))),
        ("can_write=exit 6", raw::option(opt::GO, &raw::go_payload(b""))),
        ("list_exports=exit 6", raw::option(opt::LIST, b"")),
    ] {
        let server = Server::start(["eval", "get_size=echo 1M", "pread=exit 1", script]);
        let mut client = server.connect();
        client.hello().unwrap();
        client.send(&option).unwrap();
        assert_eq!(client.drain().unwrap(), 0, "{script}: the client got an answer");
    }
}

#[test]
fn preconnect_is_told_whether_clients_may_write() {
    for (option, told) in [(&[][..], "false"), (&["-r"], "true")] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("told");
        let preconnect = format!("preconnect=echo $2 > {}", file.display());
        let words = [option, &["eval", "get_size=echo 1M", "pread=exit 1", &preconnect]].concat();
        Server::start(words).connect().structured("");
        assert_eq!(fs::read_to_string(&file).unwrap().trim(), told);
    }
}

#[test]
fn a_write_that_is_too_large_cuts_the_connection_off() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let server =
        Server::start(["--filter=blocksize-policy", "memory", "1M", "blocksize-write-disconnect=4096"]);
    let mut client = server.connect();
    client.structured("");
    client.write(0, &[1; 4096], flag::FUA).unwrap();
    client.request(cmd::WRITE, 0, 0, 4097).unwrap();
    client.send(&[1; 4097]).unwrap();
    assert_eq!(client.drain().unwrap(), 0, "the client got an answer");
}

const SCRIPT: &str = r#"case "$1" in
    get_size) echo 5 ;;
    pread) echo hello | dd skip=$4 count=$3 iflag=skip_bytes,count_bytes ;;
    *) exit 2 ;;
esac
"#;

#[test]
fn a_script_can_come_on_standard_input_unless_a_client_is_there() {
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(&script, SCRIPT).unwrap();
    let input = || fs::File::open(&script).unwrap();
    let words = ["-U", "-", "sh", "-", "--run", "nbdcopy \"$uri\" -"];
    assert_eq!(run_with(nbdkit().args(words), input()).ok().text(), "hello");
    let output = run_with(nbdkit().args(["-s", "sh", "-"]), input()).exits(1);
    assert_eq!(output.stdout, b"", "{}", output.report());
    output.says("inline script is incompatible with -s");
}

#[test]
fn scripts_in_a_description_leave_the_client_alone() {
    if !supports(Feature::ErrorText) {
        return;
    }
    // What a client says is not for them to read.
    let input = tempfile::NamedTempFile::new().unwrap();
    fs::write(&input, "from the client").unwrap();
    let mut command = nbdkit();
    command.args(["-v", "-D", "data.AST=1", "-s", "data", "<(cat) 1"]);
    let output = run_with(&mut command, fs::File::open(&input).unwrap());
    assert!(output.stderr.contains("Script(\"cat\")"), "{}", output.report());
    let words = ["data", "<(cat)", "-U", "-", "--run", "nbdcopy \"$uri\" -"];
    let output = run_with(nbdkit().args(words), fs::File::open(&input).unwrap()).ok();
    assert_eq!(output.text(), "from the client");
}

#[test]
fn a_script_can_be_a_program_that_starts_the_server() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = fs::canonicalize(nbdkit().get_program()).unwrap();
    // By a path of its own: the kernel takes no more than 255 bytes.
    let link = dir.path().join("nbdkit-here");
    std::os::unix::fs::symlink(program, &link).unwrap();
    let script = dir.path().join("disk");
    fs::write(&script, format!("#!{} sh\n{SCRIPT}", link.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let words = ["-U", "-", "--run", "nbdcopy \"$uri\" -"];
    // The kernel gives nbdkit the words "sh" and the path of the script, then those of the caller.
    assert_eq!(run(tool(script.to_str().unwrap()).args(words)).ok().text(), "hello");
    // The same file as an ordinary parameter.
    let words: Vec<&str> = [&["sh", script.to_str().unwrap()][..], &words].concat();
    assert_eq!(run_nbdkit(&words).ok().text(), "hello");
}
