// SPDX-License-Identifier: BSD-3-Clause
//! The few things a machine may lack. The list is `tests/needs.toml`; nothing else is a reason to skip.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::command::{run, tool};

const LIST: &str = include_str!("../needs.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Need {
    reason: String,
    path: PathBuf,
    #[serde(default)]
    command: Vec<String>,
}

/// Whether the machine has `name`. If not, the test says `SKIP` and returns.
///
/// The line also goes to the file named by `NBDKIT_TEST_SKIPS`, so that skips are counted and not lost.
/// Panics when `name` is not in `tests/needs.toml`.
#[must_use]
#[track_caller]
pub fn needs(name: &str) -> bool {
    let list: BTreeMap<String, Need> = toml::from_str(LIST).expect("tests/needs.toml is well-formed");
    let need = list.get(name).unwrap_or_else(|| panic!("{name} is not in tests/needs.toml"));
    if has(need) {
        return true;
    }
    // With one test thread all tests run on the main one: then the place in the source has to do.
    let test = match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => std::panic::Location::caller().to_string(),
    };
    let line = format!("SKIP {test}: {name}: {}", need.reason);
    println!("{line}");
    if let Some(path) = std::env::var_os("NBDKIT_TEST_SKIPS") {
        record(Path::new(&path), &line);
    }
    false
}

fn has(need: &Need) -> bool {
    need.path.exists()
        && match need.command.split_first() {
            None => true,
            Some((program, args)) => run(tool(program).args(args)).status.success(),
        }
}

fn record(path: &Path, line: &str) {
    // One write in append mode: tests of several binaries may share the file.
    let mut file =
        OpenOptions::new().append(true).create(true).open(path).expect("NBDKIT_TEST_SKIPS can be written");
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}
