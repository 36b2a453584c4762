// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod child;
mod companion;
mod pipes;

pub use companion::Companion;

use child::Child;
use pipes::{Capture, Feed, Surplus, exchange};
use std::{
    ffi::{CString, NulError, OsStr, OsString},
    io,
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    process::ExitStatus,
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

/// A program with its arguments, and what its environment has that ours has not.
#[derive(Clone, Debug)]
pub struct Invocation {
    words: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
}

impl Invocation {
    /// The program at `path`, which is not looked for in `$PATH`.
    pub fn new(path: impl Into<OsString>) -> Invocation {
        Invocation { words: vec![path.into()], variables: Vec::new() }
    }

    /// One argument more.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Invocation {
        self.words.push(arg.into());
        self
    }

    /// Some arguments more.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Invocation {
        self.words.extend(args.into_iter().map(Into::into));
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Invocation {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Runs it to its end: gives it `input` and collects what it prints. Returns when it has ended and nobody has its
    /// standard output or standard error open any more.
    ///
    /// # Errors
    /// When it cannot be started, with the error of `exec` (`ENOENT`, `EACCES`, `ENOEXEC` ...) or, for an argument with
    /// a zero byte, `InvalidInput`.
    pub fn run(&self, input: &[u8], limits: Limits) -> io::Result<Finished> {
        let (mut child, [stdin, stdout, stderr]) = Child::start(&self.words()?, &self.environment()?)?;
        let mut feed = Feed::new(stdin, input)?;
        let mut output = Capture::new(stdout, limits.output, Surplus::Refused);
        let mut errors = Capture::new(stderr, limits.errors, Surplus::Forgotten);
        exchange(&mut feed, &mut output, &mut errors)?;
        let status = child.wait()?;
        Ok(Finished { status, surplus: output.surplus(), output: output.bytes(), errors: errors.bytes() })
    }

    /// Runs it to its end with nothing to read, and our standard output and error.
    ///
    /// # Errors
    /// As those of [`run`](Invocation::run).
    pub fn status(&self) -> io::Result<ExitStatus> {
        Child::start_beside(&self.words()?, &self.environment()?, None)?.wait()
    }

    /// Lets it run beside us: it has nothing to read, our standard output and error, and `inherited` as descriptor 3.
    ///
    /// # Errors
    /// As those of [`run`](Invocation::run).
    pub fn start(&self, inherited: OwnedFd) -> io::Result<Companion> {
        Child::start_beside(&self.words()?, &self.environment()?, Some(&inherited)).map(Companion)
    }

    fn words(&self) -> Result<Vec<CString>, NulError> {
        self.words.iter().map(|word| CString::new(word.as_bytes())).collect()
    }

    fn environment(&self) -> Result<Vec<CString>, NulError> {
        let is_new = |name: &OsStr| self.variables.iter().any(|(new, _)| new == name);
        let kept = std::env::vars_os().filter(|(name, _)| !is_new(name));
        let all = kept.chain(self.variables.iter().cloned());
        all.map(|(name, value)| CString::new([name.into_vec(), value.into_vec()].join(&b'='))).collect()
    }
}
