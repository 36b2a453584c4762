// SPDX-License-Identifier: BSD-3-Clause
//! Peers that need more than a name: `nbdsh` with its own Python, and a libnbd newer than the machine's.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::command::{Output, run, tool};

/// Runs a Python script in `nbdsh` with `h` connected to `uri`.
#[track_caller]
pub fn nbdsh(uri: &str, script: &str) -> Output {
    run(tool("nbdsh").arg("--uri").arg(uri).arg("-c").arg(script))
}

/// A program of libnbd from Debian 13, run by its own loader: `trixie("nbdinfo")`.
///
/// The folder is `NBDKIT_TRIXIE`, or `target/peers-trixie`, filled by `tests/peers/trixie.sh` at first use.
pub fn trixie(program: &str) -> Command {
    let root = &*TRIXIE;
    let loader = find(&root.join("lib64"), |name| name.starts_with("ld-linux"));
    let libraries = find(&root.join("usr/lib"), |name| name.ends_with("-linux-gnu"));
    let mut command = tool(loader.to_str().unwrap());
    command.arg("--library-path").arg(libraries).arg(root.join("usr/bin").join(program));
    command
}

static TRIXIE: LazyLock<PathBuf> = LazyLock::new(|| {
    if let Some(root) = std::env::var_os("NBDKIT_TRIXIE") {
        return root.into();
    }
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().nth(3).expect("a test lives in target/PROFILE/deps");
    let root = target.join("peers-trixie");
    if !root.join("complete").exists() {
        // Test processes may come here together: one of them does the work.
        let lock = File::create(target.join("peers-trixie.lock")).unwrap();
        lock.lock().unwrap();
        let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/trixie.sh");
        run(Command::new("sh").arg(recipe).arg(&root)).ok();
    }
    root
});

fn find(dir: &Path, wanted: impl Fn(&str) -> bool) -> PathBuf {
    let entries = dir.read_dir().unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted))
        .unwrap_or_else(|| panic!("nothing fitting in {}", dir.display()))
}
