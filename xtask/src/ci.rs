// SPDX-License-Identifier: BSD-3-Clause
//! `cargo xtask ci`: everything a change must pass, stage by stage, with the time each took.
//!
//! A stage that fails does not stop the others: one run tells all that is wrong.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use toml::{Table, Value};

use crate::process::{
    Context, Failure, Result, cargo, output, root, run as run_command, succeeds, target_dir,
};
use crate::{dist, new, test};

#[derive(clap::Args)]
pub struct Options {
    /// Only these stages
    #[arg(value_parser = STAGES.map(|(name, _)| name))]
    stages: Vec<String>,
}

/// How a stage ended that did not fail.
enum Outcome {
    Passed,
    /// What it needs is not on this machine.
    NotRun(&'static str),
}

type Stage = (&'static str, fn() -> Result<Outcome>);

/// The cheap and telling ones first. `builds` ends with all features, which `test` then finds built.
const STAGES: [Stage; 12] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("doc", doc),
    ("builds", builds),
    ("test", tests),
    ("features", features),
    ("templates", templates),
    ("nostd", nostd),
    ("models", models),
    ("msrv", msrv),
    ("deny", deny),
    ("sizes", sizes),
];

/// The Rust that distributions have: for the crates that say so in their manifests.
const OLD_RUST: &str = "1.85";
const OLD_RUST_PACKAGES: [&str; 5] =
    ["nbd-proto", "nbd-tls", "nbdkit-plugin", "nbdkit-filter", "nbdkit-secret"];
const PROBE: &str = "nbd-proto/nostd-probe/Cargo.toml";

pub fn run(options: &Options) -> Result {
    let wanted =
        |(name, _): &&Stage| options.stages.is_empty() || options.stages.iter().any(|stage| stage == name);
    let began = Instant::now();
    let mut rows = Vec::new();
    let mut failed = 0;
    for (name, stage) in STAGES.iter().filter(wanted) {
        println!("== {name}");
        let began = Instant::now();
        let how = match stage() {
            Ok(Outcome::Passed) => "passed".to_owned(),
            Ok(Outcome::NotRun(why)) => format!("not run: {why}"),
            Err(failure) => {
                failed += 1;
                match failure {
                    Failure::Told => "FAILED".to_owned(),
                    Failure::Because(why) => format!("FAILED: {why}"),
                }
            }
        };
        rows.push(row(name, began.elapsed(), &how));
        println!("== {name} {how}, {:.1} s", began.elapsed().as_secs_f64());
    }
    println!();
    rows.iter().for_each(|row| println!("{row}"));
    println!("{}", row("all", began.elapsed(), if failed == 0 { "passed" } else { "FAILED" }));
    if failed == 0 { Ok(()) } else { Err(Failure::Told) }
}

fn row(name: &str, took: Duration, how: &str) -> String {
    format!("{name:<10}{:>8.1} s  {how}", took.as_secs_f64())
}

fn fmt() -> Result<Outcome> {
    passed(&mut cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<Outcome> {
    let args = ["clippy", "--locked", "--workspace", "--all-targets", "--features", "nbdkit/full"];
    passed(cargo(args).args(["--", "-D", "warnings"]))
}

fn doc() -> Result<Outcome> {
    let args = ["doc", "--locked", "--no-deps", "--workspace", "--features", "nbdkit/full"];
    passed(cargo(args).env("RUSTDOCFLAGS", "-D warnings"))
}

fn tests() -> Result<Outcome> {
    test::run(&test::Options::default())?;
    Ok(Outcome::Passed)
}

/// The program with nothing in it, as it comes, and with everything: each begins and says its version.
fn builds() -> Result<Outcome> {
    for selection in [&["--no-default-features"][..], &[], &["--features", "nbdkit/full"]] {
        run_command(cargo(["build", "--locked", "--package", "nbdkit"]).args(selection))?;
        run_command(Command::new(target_dir().join("debug/nbdkit")).arg("--version"))?;
    }
    Ok(Outcome::Passed)
}

/// Each feature alone: none may lean on what another brings, or leave code behind that only another uses.
fn features() -> Result<Outcome> {
    let manifest = "nbdkit/Cargo.toml";
    let text = fs::read_to_string(root().join(manifest)).context(manifest)?;
    for feature in single_features(&text).map_err(|e| format!("{manifest}: {e}"))? {
        let args =
            ["clippy", "--locked", "--package", "nbdkit", "--no-default-features", "--features", &feature];
        run_command(cargo(args).args(["--", "-D", "warnings"]))?;
    }
    Ok(Outcome::Passed)
}

/// All features but the groups.
fn single_features(manifest: &str) -> std::result::Result<Vec<String>, String> {
    let manifest: Table = manifest.parse().map_err(|e: toml::de::Error| e.message().to_owned())?;
    let features = manifest.get("features").and_then(Value::as_table).ok_or("no [features]")?;
    Ok(features.keys().filter(|name| !["default", "full"].contains(&name.as_str())).cloned().collect())
}

/// What `cargo xtask new` makes.
fn templates() -> Result<Outcome> {
    new::prove().map(|()| Outcome::Passed)
}

/// What threads do to each other, in every order in which they can meet. Its own folder, for the flag is everybody's.
fn models() -> Result<Outcome> {
    let folder = target_dir().join("loom");
    let mut test = cargo(["test", "--locked", "--package", "nbdkit-spin", "--lib", "--target-dir"]);
    passed(test.arg(folder).env("RUSTFLAGS", "--cfg loom"))
}

/// A program without the standard library that uses the protocol.
fn nostd() -> Result<Outcome> {
    if !root().join(PROBE).exists() {
        return Err(format!("{PROBE}: missing; it proves that nbd-proto needs no standard library").into());
    }
    passed(
        cargo(["build", "--locked", "--manifest-path", PROBE])
            .arg("--target-dir")
            .arg(target_dir().join("nostd")),
    )
}

fn msrv() -> Result<Outcome> {
    let listed = output(Command::new("rustup").args(["toolchain", "list"])).map(|output| output.stdout);
    let listed = String::from_utf8(listed.unwrap_or_default()).unwrap_or_default();
    let Some(toolchain) = listed.split_whitespace().find(|name| name.starts_with(OLD_RUST)) else {
        return Ok(Outcome::NotRun("no toolchain 1.85 here"));
    };
    let mut command = Command::new("rustup");
    command.current_dir(root()).args(["run", toolchain, "cargo", "check", "--locked"]);
    command.args(OLD_RUST_PACKAGES.iter().flat_map(|package| ["--package", package]));
    passed(command.arg("--target-dir").arg(target_dir().join("msrv")))
}

fn deny() -> Result<Outcome> {
    if !succeeds(&mut cargo(["deny", "--version"])) {
        return Ok(Outcome::NotRun("no cargo-deny here"));
    }
    passed(&mut cargo(["deny", "--locked", "check", "bans", "licenses", "sources"]))
}

/// What is shipped stays small.
fn sizes() -> Result<Outcome> {
    dist::sizes()?;
    Ok(Outcome::Passed)
}

fn passed(command: &mut Command) -> Result<Outcome> {
    run_command(command).map(|()| Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_not_checked_alone() {
        let manifest =
            "[features]\ndefault = [\"file\"]\nfull = [\"default\", \"cow\"]\nfile = []\ncow = []\n";
        assert_eq!(single_features(manifest).unwrap(), ["cow", "file"]);
        assert_eq!(single_features("[package]\n").unwrap_err(), "no [features]");
    }

    #[test]
    fn old_rust_packages_are_those_that_say_so() {
        let tree = crate::tidy::Tree::read(root()).unwrap();
        let manifests = tree.crates().map(|folder| tree.text(&format!("{folder}/Cargo.toml")));
        let packages = manifests.filter_map(|manifest| {
            let manifest: Table = manifest.parse().ok()?;
            let package = manifest.get("package")?;
            let old = package.get("rust-version")?.as_str() == Some(OLD_RUST)
                && !manifest.contains_key("workspace");
            old.then(|| package.get("name")?.as_str().map(str::to_owned)).flatten()
        });
        let mut packages: Vec<String> = packages.collect();
        packages.sort_unstable();
        let mut listed = OLD_RUST_PACKAGES;
        listed.sort_unstable();
        assert_eq!(packages, listed);
    }
}
