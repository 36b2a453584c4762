// SPDX-License-Identifier: BSD-3-Clause
//! The three shells are asked what they offer.

use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use super::{SCRIPTS, brief};
use crate::process::output;
use crate::program::{Program, under_test};

/// What is typed, what must be offered, and what must not.
const CASES: [(&str, &[&str], &[&str]); 16] = [
    ("nbdkit mem", &["memory"], &["null", "cow"]),
    ("nbdkit --filter=co", &["cow"], &["delay", "memory"]),
    ("nbdkit --filter co", &["cow"], &["delay", "memory"]),
    ("nbdkit --filt", &["--filter"], &["--foreground"]),
    ("nbdkit --reado", &["--readonly"], &["--filter"]),
    ("nbdkit --tls ", &["off", "on", "require"], &["memory"]),
    ("nbdkit --log=s", &["stderr", "syslog"], &["null", "sparse-random"]),
    ("nbdkit -P di", &["disk.img"], &["dir="]),
    ("nbdkit -P memory fi", &["file"], &["disk.img"]),
    ("nbdkit memory al", &["allocator="], &["memory", "size="]),
    ("nbdkit -f -p 0 memory ", &["allocator=", "size="], &["memory", "rdelay="]),
    ("nbdkit memory allocator=s", &["sparse"], &["malloc"]),
    ("nbdkit file file=di", &["disk.img"], &["dir="]),
    ("nbdkit --filter=delay --filter cow memory cow-on-r", &["cow-on-read="], &["rdelay="]),
    ("nbdkit --filter=delay --filter cow memory rd", &["rdelay="], &["cow-on-read="]),
    ("nbdkit --filter=cow memory cow-on-read=t", &["true"], &["false"]),
];

/// Asks in a folder with one file, `disk.img`; `ask` is handed that folder, the folder with the scripts, and the line.
fn prove(ask: fn(&Path, &Path, &str) -> Vec<String>) {
    let (dir, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(work.path().join("disk.img"), "").unwrap();
    let program = Program::ask(&under_test()).unwrap();
    for script in &SCRIPTS {
        script.write(&program, dir.path()).unwrap();
    }
    thread::scope(|scope| {
        for (line, wanted, unwanted) in CASES {
            let (dir, work) = (dir.path(), work.path());
            scope.spawn(move || {
                let offered = ask(work, dir, line);
                let has = |word: &&&str| offered.iter().any(|offer| offer == **word);
                let missing: Vec<_> = wanted.iter().filter(|word| !has(word)).collect();
                let wrong: Vec<_> = unwanted.iter().filter(has).collect();
                assert!(missing.is_empty() && wrong.is_empty(), "{line}: {offered:?}");
            });
        }
    });
}

fn lines(work: &Path, program: &str, args: &[&str]) -> Vec<String> {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", "60", program])
        .args(args)
        .current_dir(work)
        .env("HOME", work)
        .env("LC_ALL", "C.UTF-8");
    let said = output(&mut command).unwrap();
    assert!(said.status.success(), "{program}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// As bash does it: words end at blanks, and before and behind every `=`.
#[test]
fn bash_offers_what_fits() {
    prove(|work, dir, line| {
        let mut words: Vec<String> = Vec::new();
        for word in line.split(' ') {
            let mut parts = word.split('=');
            words.extend(parts.next().filter(|part| !part.is_empty() || word.is_empty()).map(str::to_owned));
            for part in parts {
                words.push("=".to_owned());
                words.extend((!part.is_empty()).then(|| part.to_owned()));
            }
        }
        let script = r#"
            source "$1/nbdkit"
            COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=("${@:3}") COMP_CWORD=$(($# - 3))
            _nbdkit
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        let mut args = vec!["--norc", "-c", script, "bash", dir.to_str().unwrap(), line];
        args.extend(words.iter().map(String::as_str));
        lines(work, "bash", &args)
    });
}

/// A shell of its own on a terminal of its own.
#[test]
fn zsh_offers_what_fits() {
    prove(|work, dir, line| {
        let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/src/completions/capture.zsh");
        let offers = lines(work, "zsh", &["-f", capture, dir.to_str().unwrap(), line]);
        // Behind an option that wants a value zsh writes the '=' already.
        let bare = |offer: &String| {
            if offer.starts_with("--") { offer.trim_end_matches('=') } else { offer }.to_owned()
        };
        offers.iter().map(bare).collect()
    });
}

#[test]
fn fish_offers_what_fits() {
    prove(|work, dir, line| {
        let script = "source $argv[1]/nbdkit.fish; complete -C $argv[2]";
        let offers = lines(work, "fish", &["--no-config", "-c", script, dir.to_str().unwrap(), line]);
        let word = line.rsplit(' ').next().unwrap_or(line);
        // fish offers whole words, with an explanation.
        let start = word.find('=').map_or(0, |at| at + 1);
        let offers = offers.iter().filter_map(|offer| offer.split('\t').next()?.get(start..));
        offers.map(str::to_owned).collect()
    });
}

#[test]
fn a_list_has_short_explanations() {
    assert_eq!(brief("Where the bytes are: `a` or `b` (default: a)"), "Where the bytes are");
    assert_eq!(brief("Clients cannot write (also --read-only)"), "Clients cannot write");
    assert_eq!(brief("Stay"), "Stay");
}
