// SPDX-License-Identifier: BSD-3-Clause
//! `cargo xtask`: builds, tests and checks the workspace, and starts new plugins and filters.
//!
//! One file per command; what they share is how a program is run (`process`) and what a plugin or filter
//! is called in the places that name it (`component`).

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod build;
mod ci;
mod completions;
mod component;
mod dist;
mod manual;
mod new;
mod packages;
mod process;
mod program;
mod tally;
mod test;
mod tidy;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests and checks the nbdkit workspace")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds the program as it is shipped and prints where it lies
    Build(build::Options),
    /// Runs all tests against a program with all features; the closing line counts them
    Test(test::Options),
    /// Measures ours beside nbdkit and qemu-nbd; writes BENCHMARKS.md
    Bench(bench::Options),
    /// Writes the manual pages
    Man(manual::Options),
    /// Writes the completions for bash, zsh and fish
    Completions(completions::Options),
    /// Lays the program out for a packager
    Dist(dist::Options),
    /// Checks that all plugins and filters look alike, and the rules of the house
    Tidy,
    /// Starts a plugin or filter: its crate, its feature, its line in the registry
    New(new::Options),
    /// Everything a change must pass: what .ci/run calls
    Ci(ci::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Task::Build(options) => build::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Man(options) => manual::run(&options),
        Task::Completions(options) => completions::run(&options),
        Task::Dist(options) => dist::run(&options),
        Task::Tidy => tidy::run(),
        Task::New(options) => new::run(&options),
        Task::Ci(options) => ci::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(process::Failure::Told) => ExitCode::FAILURE,
        Err(process::Failure::Because(why)) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
