// SPDX-License-Identifier: BSD-3-Clause
//! What goes in and comes out, and what a program finds when it starts.

#![allow(clippy::unwrap_used, clippy::expect_used)] // tests, helpers included

use nbdkit_subprocess::{Finished, Invocation, Limits};
use nix::sys::signal::{SigSet, Signal};
use std::{
    collections::BTreeSet, fs, io::ErrorKind, os::unix::process::ExitStatusExt, sync::mpsc, thread,
    time::Duration,
};

const PLENTY: Limits = Limits { output: 64 << 20, errors: 64 << 20 };

fn sh(script: &str, input: &[u8], limits: Limits) -> Finished {
    Invocation::new("/bin/sh").args(["-c", script]).run(input, limits).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn megabytes_go_in_and_come_out_on_both_sides() {
    let input: Vec<u8> = (0..5_000_001u32).map(|n| ((n * 7) >> 3) as u8).collect();
    // `tee` writes to one side while the other is full, unless somebody empties both.
    let finished = sh("tee /dev/stderr", &input, PLENTY);
    assert!(finished.status.success() && !finished.surplus);
    assert!(finished.output == input && finished.errors == input);
}

#[test]
fn input_need_not_be_read_and_ends() {
    for (script, output) in [
        ("exec <&-; echo done", "done\n"),
        ("exit 0", ""),
        ("head -c 3", "xxx"),
        // Its outputs are closed before it has read all.
        ("exec 3<&0 >&- 2>&-; cat <&3 > /dev/null", ""),
    ] {
        let finished = sh(script, &vec![b'x'; 1 << 20], PLENTY);
        assert_eq!((finished.status.code(), text(&finished.output)), (Some(0), output), "{script}");
    }
    assert_eq!(sh("cat; echo end", b"", PLENTY).output, b"end\n");
}

#[test]
fn too_much_output_is_refused_and_too_much_of_errors_forgotten() {
    let limits = Limits { output: 5, errors: 5 };
    let finished = sh("printf 12345; printf abcde >&2", b"", limits);
    assert_eq!(
        (&*finished.output, finished.surplus, &*finished.errors),
        (&b"12345"[..], false, &b"abcde"[..])
    );

    let finished = sh("printf 123456; printf abcdef >&2", b"", limits);
    assert_eq!(
        (&*finished.output, finished.surplus, &*finished.errors),
        (&b"12345"[..], true, &b"abcde"[..])
    );

    // Without an end of its own.
    let finished = sh("exec yes", b"", Limits { output: 100_000, errors: 0 });
    assert_eq!((finished.output.len(), finished.surplus), (100_000, true));
    assert_eq!(finished.status.signal(), Some(13), "SIGPIPE has its default action");

    let finished = sh("head -c 1000000 /dev/zero >&2; echo end", b"", limits);
    assert_eq!((&*finished.output, finished.surplus, &*finished.errors), (&b"end\n"[..], false, &[0; 5][..]));
}

#[test]
fn without_looking_at_its_output() {
    // Its input is empty, and it is waited for.
    let file = std::env::temp_dir().join(format!("nbdkit-status-{}", std::process::id()));
    let script = format!("cat > {}; exit 3", file.display());
    let status = Invocation::new("/bin/sh").args(["-c", &script]).status().unwrap();
    assert_eq!((status.code(), fs::read(&file).unwrap()), (Some(3), Vec::new()));
    fs::remove_file(file).unwrap();
}

#[test]
fn how_it_ended() {
    assert_eq!(sh("exit 7", b"", PLENTY).status.code(), Some(7));
    assert_eq!(sh("kill -9 $$", b"", PLENTY).status.signal(), Some(9));
    let failure = |program: &str| Invocation::new(program).run(b"", PLENTY).unwrap_err().kind();
    assert_eq!(failure("/no/such/program"), ErrorKind::NotFound);
    assert_eq!(failure("/dev/null"), ErrorKind::PermissionDenied);
    assert_eq!(failure("sh"), ErrorKind::NotFound, "$PATH is not searched");
    assert_eq!(failure("/bin/\0sh"), ErrorKind::InvalidInput);
    assert_eq!(sh("kill -40 $$", b"", PLENTY).status.signal(), Some(40), "a real-time signal");
}

#[test]
fn its_environment_is_ours_and_more() {
    let env = |invocation: Invocation| {
        let finished = invocation.run(b"", PLENTY).unwrap();
        let mut lines: Vec<String> = text(&finished.output).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let plain = env(Invocation::new("/usr/bin/env"));
    assert!(plain.iter().any(|line| line.starts_with("PATH=")));
    let with = env(Invocation::new("/usr/bin/env").env("PATH", "a=b c").env("new_one", ""));
    assert_eq!(with.len(), plain.len() + 1);
    assert!(with.contains(&"PATH=a=b c".to_owned()) && with.contains(&"new_one=".to_owned()));
}

#[test]
fn it_starts_clean() {
    // 0, 1, 2, and what whoever started the test has left open for everybody.
    let mut inherited = BTreeSet::from([0, 1, 2]);
    inherited.extend(fs::read_dir("/proc/self/fdinfo").unwrap().filter_map(|entry| {
        let info = fs::read_to_string(entry.as_ref().ok()?.path()).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let closed_on_exec = u32::from_str_radix(flags.trim(), 8).ok()? & 0o2_000_000 != 0;
        (!closed_on_exec).then(|| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())?
    }));
    // Many at once, so that pipes of the others are about.
    let (done, results) = mpsc::channel();
    for _ in 0..8 {
        let done = done.clone();
        thread::spawn(move || {
            [Signal::SIGINT, Signal::SIGTERM].into_iter().collect::<SigSet>().thread_block().unwrap();
            for _ in 0..20 {
                let ls = Invocation::new("/bin/ls").arg("/proc/self/fd");
                let fds = ls.run(b"", PLENTY).unwrap().output;
                let grep = Invocation::new("/bin/grep").args(["-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
                let signals = grep.run(b"", PLENTY).unwrap().output;
                let output = format!("{}|{}", text(&fds), text(&signals));
                done.send(output).unwrap();
            }
        });
    }
    drop(done);
    let mut count = 0;
    while let Ok(seen) = results.recv_timeout(Duration::from_secs(60)) {
        count += 1;
        let (fds, signals) = seen.split_once('|').unwrap();
        let fds: BTreeSet<u32> = fds.split_whitespace().map(|fd| fd.parse().unwrap()).collect();
        // One is the directory that `ls` reads.
        assert_eq!(fds.difference(&inherited).count(), 1, "{fds:?}, inherited {inherited:?}");
        let blocked = signals.split_whitespace().nth(1).unwrap();
        assert_eq!(u64::from_str_radix(blocked, 16), Ok(0), "{signals}");
        let ignored = u64::from_str_radix(signals.split_whitespace().nth(3).unwrap(), 16).unwrap();
        assert_eq!(ignored >> 12 & 1, 0, "SIGPIPE is ignored: {signals}");
    }
    assert_eq!(count, 160);
}

#[test]
fn a_companion_runs_beside_us_until_it_is_told_to_end() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    // Says which process it is, then waits for ever.
    let script = "trap 'echo bye >&3; exit 7' TERM; echo $$ >&3; while :; do sleep 0.05; done";
    let companion = Invocation::new("/bin/sh").args(["-c", script]).start(theirs.into()).unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(ours));
    assert_eq!(lines.next().unwrap().unwrap(), companion.id().unwrap().to_string());
    assert_eq!(companion.end(Duration::from_secs(60)).unwrap().code(), Some(7));
    assert_eq!(lines.next().unwrap().unwrap(), "bye");
    assert!(lines.next().is_none());
}

#[test]
fn a_companion_that_does_not_want_to_end_is_killed() {
    for dropped in [false, true] {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let script = "trap '' TERM; echo >&3; while :; do read x <&3; done";
        let companion = Invocation::new("/bin/sh").args(["-c", script]).start(theirs.into()).unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(ours));
        assert_eq!(lines.next().unwrap().unwrap(), "");
        match dropped {
            true => drop(companion),
            false => assert_eq!(companion.end(Duration::ZERO).unwrap().signal(), Some(9)),
        }
        assert!(lines.next().is_none_or(|line| line.is_err()));
    }
}
