// SPDX-License-Identifier: BSD-3-Clause
//! What is said, and where: `-v`, `--log`, `-D`.

use std::fs;
use std::os::unix::net::UnixDatagram;

use crate::run_nbdkit;
use nbdkit_tests::files::scratch;
use nbdkit_tests::{Feature, Server, nbdkit, needs, run, supports, tool, until};

#[test]
fn verbose_tells_every_step_and_quiet_tells_none() {
    let quiet = run_nbdkit(&["-U", "-", "memory", "1M", "--run", "nbdinfo --size \"$uri\""]).ok();
    assert_eq!(quiet.stderr, "");
    for option in ["-v", "--verbose"] {
        let loud = run_nbdkit(&[option, "-U", "-", "memory", "1M", "--run", "nbdinfo --size \"$uri\""]).ok();
        assert_eq!(loud.text(), "1048576", "debug messages on standard output");
        assert!(loud.stderr.lines().filter(|line| line.contains("debug")).count() > 5, "{}", loud.report());
        assert!(loud.stderr.lines().all(|line| line.starts_with("nbdkit: ")), "{}", loud.report());
    }
}

#[test]
fn verbose_shows_a_request_with_its_numbers() {
    let server = Server::start(["-v", "memory", "1M"]);
    let mut client = server.connect();
    client.structured("");
    client.read(54321, 12345).unwrap();
    let stderr = server.stderr();
    let shown = stderr.lines().any(|line| {
        line.contains("pread")
            && (line.contains("12345") || line.contains("0x3039"))
            && (line.contains("54321") || line.contains("0xd431"))
    });
    assert!(shown, "{stderr}");
}

#[test]
fn log_to_nowhere_is_silent_and_keeps_the_exit_status() {
    let output = run_nbdkit(&["--log=null", "memory", "bad-size"]).exits(1);
    assert_eq!(output.stderr, "");
    let output = run_nbdkit(&["--log=stderr", "memory", "bad-size"]).exits(1).says("bad-size");
    assert!(output.stderr.starts_with("nbdkit: "), "{}", output.report());
}

#[test]
fn an_unknown_log_is_refused() {
    run_nbdkit(&["--log=nowhere", "memory", "1M", "--run", "true"]).exits(1).says("--log");
}

#[test]
fn an_error_of_a_request_is_logged_with_its_connection_and_no_client_can_forge_lines() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = scratch();
    fs::write(dir.path().join("plain"), "x").unwrap();
    let server = Server::start(["file", &format!("dir={}", dir.path().display())]);
    let uri = server.uri_of("bad%0Aname%1b%5B31m");
    run(tool("nbdinfo").arg("--size").arg(uri)).fails();
    let stderr = server.stderr();
    assert!(stderr.contains("bad"), "{stderr}");
    assert!(
        stderr.lines().all(|line| line.starts_with("nbdkit: ")),
        "a client wrote a line of its own: {stderr}"
    );
    assert!(!stderr.contains('\u{1b}'), "a client sent an escape sequence to the terminal: {stderr:?}");
}

#[test]
fn a_debug_flag_must_be_well_formed() {
    for flag in ["", "nodot", "memory.=1", ".flag=1", "memory.flag", "memory.flag=", "memory.flag=x"] {
        run_nbdkit(&["-D", flag, "-U", "-", "memory", "1M", "--run", "true"]).exits(1);
    }
}

#[test]
fn debug_lines_name_plugin_connection_and_who_is_called() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let server = Server::start(["-v", "--filter=offset", "memory", "1M", "offset=512"]);
    let mut client = server.connect();
    client.structured("");
    client.write(0, &[1; 512], nbdkit_tests::raw::flag::FUA).unwrap();
    client.disconnect();
    until("the end", || server.stderr().contains("offset: close"));
    let stderr = server.stderr();
    let number = server.stderr().matches("accepted connection").count();
    for line in [
        "nbdkit: debug: nbdkit 1.".to_owned(),
        "nbdkit: debug: offset: config key=offset, value=512\n".into(),
        "nbdkit: debug: memory: config key=size, value=1M\n".into(),
        "nbdkit: debug: using thread model: parallel\n".into(),
        "nbdkit: debug: bound to unix socket /".into(),
        "nbdkit: debug: memory: after_fork\n".into(),
        format!("nbdkit: memory[{number}]: debug: offset: preconnect\n"),
        format!("nbdkit: memory[{number}]: debug: memory: open readonly=0 exportname=\"\" tls=0\n"),
        format!("nbdkit: memory[{number}]: debug: offset: pwrite count=512 offset=0 fua=1\n"),
        format!("nbdkit: memory[{number}]: debug: memory: pwrite count=512 offset=512 fua=1\n"),
        format!("nbdkit: memory[{number}]: debug: memory: finalize\n"),
    ] {
        assert!(stderr.contains(&line), "{line:?} is missing in\n{stderr}");
    }
}

#[test]
fn debug_flags_of_plugins_and_filters() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = scratch();
    let disk = dir.path().join("disk");
    fs::write(&disk, [7; 8192]).unwrap();
    let disk = disk.to_str().unwrap();
    let words = ["-D", "file.zero=1", "--filter=checkwrite", "-D", "checkwrite.showdiffs=1", "file", disk];
    let server = Server::start([&["-v"][..], &words].concat());
    let mut client = server.connect();
    client.structured("");
    client.write(0, &[8; 512], 0).unwrap_err();
    until("the differences", || server.stderr().contains("+000001f0: 08 08"));
    assert!(!server.stderr().contains("was not used"), "{}", server.stderr());
    drop((client, server));

    let server = Server::start([&["-v"][..], &words[..2], &words[5..]].concat());
    let mut client = server.connect();
    client.structured("");
    client.call(nbdkit_tests::raw::cmd::WRITE_ZEROES, 0, 0, 4096).unwrap();
    let line = "file[1]: debug: zero of 4096 bytes at offset 0, may trim true: FALLOC_FL_PUNCH_HOLE";
    let line = line.split_once(']').unwrap().1;
    assert!(server.stderr().contains(line), "{}", server.stderr());
    // Without -v all is quiet.
    let quiet = Server::start(words);
    let mut client = quiet.connect();
    client.structured("");
    client.write(0, &[8; 512], 0).unwrap_err();
    until("the error", || quiet.stderr().contains("data written does not match"));
    assert!(!quiet.stderr().contains("+0000"), "{}", quiet.stderr());
}

#[test]
fn errors_are_red_on_a_terminal_unless_somebody_minds() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let shown = |variables: &[(&str, &str)]| {
        let program = nbdkit();
        let command = format!("{} memory", program.get_program().display());
        let mut terminal = tool("script");
        terminal.args(["--quiet", "--return", "--command", &command, "/dev/null"]).env("TERM", "xterm");
        terminal.env_remove("NO_COLOR").envs(variables.iter().copied());
        run(&mut terminal).exits(1).text().to_owned()
    };
    assert!(shown(&[]).starts_with("\u{1b}[31mnbdkit: error: you must specify size"), "{:?}", shown(&[]));
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(shown(&[variable]).starts_with("nbdkit: error: "), "{variable:?}: {:?}", shown(&[variable]));
    }
}

/// Runs the shell `script` with a system log of its own, and returns how it went and the first thing logged. `None`: this
/// machine does not let us.
fn with_system_log(script: &str) -> Option<(nbdkit_tests::Output, String)> {
    if !needs("mount-namespace") {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let log = UnixDatagram::bind(dir.path().join("log")).unwrap();
    log.set_read_timeout(Some(nbdkit_tests::HANG)).unwrap();
    // A /dev of its own, in which the socket is /dev/log.
    let prepare = format!(
        "set -e; cd {}; mkdir dev; mount -t tmpfs dev dev; cp -a /dev/null /dev/zero /dev/urandom dev; \
         touch dev/log; mount --bind log dev/log; mount --move dev /dev; cd /; {script}",
        dir.path().display()
    );
    let mut unshare = tool("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-c", &prepare, "sh"]);
    let output = run(unshare.arg(nbdkit().get_program()).arg(dir.path().join("pid")));
    assert!(!output.stderr.contains("mount"), "{}", output.report());
    let mut packet = [0; 1024];
    let len = log.recv(&mut packet).unwrap();
    if let Some(pid) = fs::read_to_string(dir.path().join("pid")).ok().and_then(|pid| pid.trim().parse().ok())
    {
        nbdkit_tests::process::Process(pid).signal(nix::sys::signal::Signal::SIGKILL);
    }
    Some((output, String::from_utf8(packet[..len].to_vec()).unwrap()))
}

#[test]
fn errors_can_go_to_the_system_log() {
    let Some((output, line)) = with_system_log("exec $1 --log=syslog memory") else { return };
    assert_eq!(output.exits(1).stderr, "");
    // Facility daemon, severity error (RFC 3164), who, and its process id.
    let (who, message) = line.split_once("]: ").unwrap();
    let who = who.strip_prefix("<27>").unwrap();
    let number = who.rsplit_once("nbdkit[").unwrap().1;
    assert!(number.parse::<u32>().is_ok() && message.starts_with("error: you must specify size"), "{line}");
}

#[test]
fn in_the_background_errors_go_to_the_system_log() {
    let script = "$1 -P $2 -U /dev/socket eval get_size='exit 1'; nbdinfo 'nbd+unix://?socket=/dev/socket'";
    let Some((_, line)) = with_system_log(script) else { return };
    assert!(line.starts_with("<27>") && line.contains("eval[1]: error: open: "), "{line}");
}
