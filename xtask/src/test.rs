// SPDX-License-Identifier: BSD-3-Clause
//! `cargo xtask test`: all tests of the workspace, run against a program with all features.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::Stdio;

use crate::packages;
use crate::process::{Context, Failure, Result, cargo, line, run as run_command, target_dir};
use crate::tally::Tally;

#[derive(clap::Args, Default)]
pub struct Options {
    /// Also the tests that take minutes
    #[arg(long)]
    long: bool,
    /// Install nothing; tests whose peer is missing fail
    #[arg(long)]
    no_install: bool,
}

/// What the tests of a program with all features are built with. The same for the program and the tests, so
/// that nothing is built twice.
const FEATURES: [&str; 2] = ["--features", "nbdkit/full"];

pub fn run(options: &Options) -> Result {
    if !options.no_install {
        packages::install()?;
    }
    let tally = cargo_test(options)?;
    report(&tally);
    if tally.failed() == 0 { Ok(()) } else { Err(Failure::Told) }
}

/// Runs the tests, passing on what they print.
fn cargo_test(options: &Options) -> Result<Tally> {
    let skips = target_dir().join("test-skips");
    fs::create_dir_all(target_dir()).context(target_dir().display())?;
    fs::write(&skips, "").context(skips.display())?;

    let mut command = cargo(["test", "--locked", "--workspace", "--no-fail-fast"]);
    command.args(FEATURES);
    if options.long {
        command.args(["--", "--include-ignored"]);
    }
    command.env("NBDKIT_TEST_SKIPS", &skips).env("NBDKIT", target_dir().join("debug/nbdkit"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());

    let mut tally = Tally::default();
    if run_command(cargo(["build", "--locked", "--package", "nbdkit"]).args(FEATURES)).is_err() {
        tally.end(false);
        return Ok(tally);
    }
    println!("$ {}", line(&command));
    let mut child = command.spawn().context(line(&command))?;
    if let Some(stdout) = child.stdout.take() {
        let mut out = io::stdout().lock();
        // By bytes: what a test prints need not be UTF-8.
        for bytes in BufReader::new(stdout).split(b'\n') {
            let bytes = bytes.context("output of cargo test")?;
            out.write_all(&bytes).and_then(|()| out.write_all(b"\n")).context("standard output")?;
            tally.line(&String::from_utf8_lossy(&bytes));
        }
    }
    tally.end(child.wait().context("cargo test")?.success());
    tally.skips(&String::from_utf8_lossy(&fs::read(&skips).context(skips.display())?));
    Ok(tally)
}

/// The counts are the last line, alone on it.
fn report(tally: &Tally) {
    if tally.skipped().next().is_some() {
        println!("skipped:");
        tally.skipped().for_each(|skip| println!("  {skip}"));
    }
    if tally.unfinished() > 0 {
        println!("counted as failed: test programs that crashed or did not build: {}", tally.unfinished());
    }
    println!("{tally}");
}
