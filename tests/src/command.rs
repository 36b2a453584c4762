// SPDX-License-Identifier: BSD-3-Clause
//! Running a command to its end and saying well what it did.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::wait::{HANG, eventually};

/// What a finished command left.
#[derive(Debug)]
pub struct Output {
    command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error, for reading.
    pub stderr: String,
}

/// A peer by name: the distribution's programs come first, messages are in English.
pub fn tool(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("/usr/bin:/usr/sbin:/bin:/sbin:{path}")).env("LC_ALL", "C");
    command
}

/// Runs `command` to its end. Standard input is empty unless the caller set one.
///
/// Panics when it cannot be started, or when it has not ended within [`HANG`]; then its process group is killed.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    run_with(command, Stdio::null())
}

/// [`run`] with a standard input.
#[track_caller]
pub fn run_with(command: &mut Command, stdin: impl Into<Stdio>) -> Output {
    // Files, not pipes: no thread has to drain them, and a grandchild that lives on cannot hold them open.
    let mut stdout = tempfile::tempfile().unwrap();
    let mut stderr = tempfile::tempfile().unwrap();
    let shown = show(command);
    let mut child = command
        .stdin(stdin)
        .stdout(stdout.try_clone().unwrap())
        .stderr(stderr.try_clone().unwrap())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{shown}: {error}: is its package in tests/peers/packages installed?")
        });
    let ended = eventually(|| child.try_wait().unwrap());
    if ended.is_none() {
        let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
        let _ = child.wait();
    }
    let (stdout, stderr) = (contents(&mut stdout), contents(&mut stderr));
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let Some(status) = ended else {
        panic!("{shown}\nhangs: killed after {HANG:?}\nstdout: {}\nstderr: {stderr}", shorten(&stdout));
    };
    Output { command: shown, status, stdout, stderr }
}

impl Output {
    /// Panics unless it exited with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Panics unless it exited with `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.status.code() == Some(code), "expected exit status {code} of\n{}", self.report());
        self
    }

    /// Panics unless it exited with anything but 0; being killed by a signal is no such answer.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(self.status.code().is_some_and(|code| code != 0), "expected a failure of\n{}", self.report());
        self
    }

    /// Panics unless standard error contains `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} in the standard error of\n{}", self.report());
        self
    }

    /// Standard output as text, without the last newline.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("standard output is UTF-8").trim_end_matches('\n')
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error} in\n{}", self.report()))
    }

    /// Everything about the command, for a failure message.
    pub fn report(&self) -> String {
        let ended = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => self.status.to_string(),
        };
        format!("{}\n{ended}\nstdout: {}\nstderr: {}", self.command, shorten(&self.stdout), self.stderr)
    }
}

/// The command line without the environment, which is long and the same for all.
fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| {
            let word = word.to_string_lossy();
            if word.is_empty() || word.contains([' ', '\n', '"', '$']) {
                format!("'{word}'")
            } else {
                word.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn contents(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn shorten(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..4096).unwrap_or(bytes));
    if bytes.len() > 4096 { format!("{text}... ({} bytes)", bytes.len()) } else { text.into_owned() }
}
