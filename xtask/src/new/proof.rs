// SPDX-License-Identifier: BSD-3-Clause
//! Proves that the templates still fit the API: in a copy of the workspace, a new plugin and a new filter are
//! compiled, tested and registered.

use std::fs;

use super::create;
use crate::component::{Component, Kind};
use crate::process::{Context, Result, cargo, root, run, target_dir};
use crate::tidy::Tree;

/// Names no real component will have.
const PROOFS: [(Kind, &str); 2] = [(Kind::Plugin, "proof-plugin"), (Kind::Filter, "proof-filter")];

pub fn prove() -> Result {
    // Always the same folder, and the target folder of the workspace: what has not changed is not built again.
    let copy = target_dir().join("proof");
    if copy.exists() {
        fs::remove_dir_all(&copy).context(copy.display())?;
    }
    for path in Tree::read(root()).context(root().display())?.paths() {
        let to = copy.join(path);
        fs::create_dir_all(to.parent().unwrap_or(&copy)).context(to.display())?;
        fs::copy(root().join(path), &to).context(path)?;
    }
    let target = target_dir();
    let cargo =
        |args: &[&str]| run(cargo(args.iter().copied()).current_dir(&copy).env("CARGO_TARGET_DIR", &target));
    for (kind, name) in PROOFS {
        create(&copy, &Component::new(kind, name)?, "proves the templates")?;
    }
    cargo(&["update", "--quiet", "--offline", "--workspace"])?;
    for (kind, name) in PROOFS {
        let package = Component::new(kind, name)?.package();
        cargo(&["clippy", "--locked", "--package", &package, "--all-targets", "--", "-D", "warnings"])?;
        cargo(&["test", "--locked", "--package", &package])?;
    }
    cargo(&[
        "check",
        "--locked",
        "--package",
        "nbdkit",
        "--no-default-features",
        "--features",
        "proof-plugin,proof-filter",
    ])
}
