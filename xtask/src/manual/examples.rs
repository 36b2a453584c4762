// SPDX-License-Identifier: BSD-3-Clause
//! Examples of the manual that are run: blocks that begin with ```` ```sh run ````.
//!
//! Each is a script for bash that must succeed. It starts in an empty folder of its own but for `disk.img`, finds our
//! nbdkit first in `PATH`, and has a minute; whatever it leaves behind in the background is ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::process::root;
use crate::program::under_test;
use crate::tidy::Tree;

/// How many run side by side: they wait more than they work.
const SIDE_BY_SIDE: usize = 6;
const SECONDS: &str = "60";

struct Example {
    /// `docs/nbdkit-loop.md:12`
    place: String,
    script: String,
}

/// The marked blocks of a document.
fn examples(path: &str, document: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut lines = (1..).zip(document.lines());
    while let Some((number, line)) = lines.next() {
        if line.trim() == "```sh run" {
            let script = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
            let script = script.collect::<Vec<_>>().join("\n");
            examples.push(Example { place: format!("{path}:{number}"), script });
        }
    }
    examples
}

/// What is wrong with it.
fn run(example: &Example, program: &Path) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("disk.img"), disk_image()).unwrap();
    let said = dir.path().join("said");
    // Not a pipe: what stays in the background would hold it open.
    let (out, err) = {
        let file = File::create(&said).unwrap();
        (file.try_clone().unwrap(), file)
    };
    let script = format!("set -euo pipefail\n{}\n", example.script);
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--kill-after=5", SECONDS, "bash", "-c", &script]);
    command.current_dir(&work).env("PATH", path(program)).env("LC_ALL", "C");
    let mut child = command.process_group(0).stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
    let status = child.wait().unwrap();
    // Only what is left of this group, if anything is; its number is not used again while it has members.
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    let said = String::from_utf8_lossy(&fs::read(said).unwrap()).into_owned();
    if status.success() { Ok(()) } else { Err(format!("{}: {status}\n{script}---\n{said}", example.place)) }
}

/// Ours first, then those of the distribution: nbdsh wants its Python.
fn path(program: &Path) -> OsString {
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":/usr/bin:/bin:/usr/sbin:/sbin:");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path
}

/// 8 MiB with one partition (MBR, Linux) from 1 MiB to 7 MiB, which begins with a line of text.
fn disk_image() -> Vec<u8> {
    const SECTOR: usize = 512;
    let mut image = vec![0; 8 << 20];
    let entry = [0, 0, 0, 0, 0x83, 0, 0, 0];
    image[446..454].copy_from_slice(&entry);
    let sectors = |bytes: usize| u32::try_from(bytes / SECTOR).unwrap().to_le_bytes();
    image[454..458].copy_from_slice(&sectors(1 << 20));
    image[458..462].copy_from_slice(&sectors(6 << 20));
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    let text = b"This is the first partition.\n";
    image[1 << 20..][..text.len()].copy_from_slice(text);
    image
}

#[test]
fn examples_of_the_manual_run() {
    let tree = Tree::read(root()).unwrap();
    let documents = tree.below("").filter(|(path, _)| path.ends_with(".md"));
    let examples: Vec<Example> = documents.flat_map(|(path, text)| examples(path, text)).collect();
    assert!(examples.len() >= 30, "only {} examples are marked", examples.len());
    let program = under_test();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(example) = examples.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = run(example, &program) {
                        failures.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} failed\n\n{}",
        failures.len(),
        examples.len(),
        failures.join("\n\n")
    );
}

#[test]
fn an_example_that_fails_is_told() {
    let found = examples(
        "a.md",
        "# a\n\n```sh run\ntest -s disk.img\n\nsleep 1000 &\nfalse\n```\n\n```sh\ntrue\n```\n",
    );
    let [example] = &found[..] else { panic!("{}", found.len()) };
    assert_eq!(example.place, "a.md:3");
    let why = run(example, Path::new("/bin/true")).unwrap_err();
    assert!(why.starts_with("a.md:3: exit status: 1"), "{why}");
}
