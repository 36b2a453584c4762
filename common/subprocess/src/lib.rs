// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod pipes;

use pipes::{Capture, Feed, Surplus, exchange};
use std::{
    io,
    process::{Child, Command, ExitStatus, Stdio},
};

/// How much of what a program prints is kept, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Of standard output. A program that prints more finds the pipe closed, and [`Finished::surplus`] is set.
    pub output: usize,
    /// Of standard error. What is more is read and forgotten.
    pub errors: usize,
}

/// A program that has run to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed, as far as the limit.
    pub output: Vec<u8>,
    /// It wanted to print more than that.
    pub surplus: bool,
    /// What it printed on standard error, as far as the limit.
    pub errors: Vec<u8>,
}

/// Runs `command` to its end: gives it `input` and collects what it prints. Returns when the program has ended and
/// nobody has its standard output or standard error open any more.
///
/// # Errors
/// When the program cannot be started, with the error of `exec`: `ENOENT`, `EACCES`, `ENOEXEC` ...
pub fn run(command: &mut Command, input: &[u8], limits: Limits) -> io::Result<Finished> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Reaped(piped.spawn()?);
    let mut feed = Feed::new(child.0.stdin.take(), input)?;
    let mut output = Capture::new(child.0.stdout.take(), limits.output, Surplus::Refused);
    let mut errors = Capture::new(child.0.stderr.take(), limits.errors, Surplus::Forgotten);
    exchange(&mut feed, &mut output, &mut errors)?;
    // Before waiting: a program that still reads its input sees the end of it.
    drop(feed);
    let status = child.0.wait()?;
    Ok(Finished { status, surplus: output.surplus(), output: output.bytes(), errors: errors.bytes() })
}

/// Neither running on nor a zombie, whatever happens here.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both do nothing if it was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
