// SPDX-License-Identifier: BSD-3-Clause
//! Runs other programs, saying which, and names the places of the workspace.

use std::env;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Why a task failed.
#[derive(Debug, PartialEq)]
pub enum Failure {
    /// The user has read it already, and nothing may follow it.
    Told,
    /// One line that says what is wrong and what would be right.
    Because(String),
}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure::Because(why)
    }
}

impl From<&str> for Failure {
    fn from(why: &str) -> Failure {
        Failure::Because(why.to_owned())
    }
}

pub type Result<T = ()> = std::result::Result<T, Failure>;

/// Adds what was being done to an error of the system.
pub trait Context<T> {
    fn context(self, doing: impl Display) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.map_err(|e| Failure::Because(format!("{doing}: {e}")))
    }
}

/// The top of the workspace.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The folder cargo builds in: `CARGO_TARGET_DIR`, or `target` at the top.
pub fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The cargo that runs this task, at the top of the workspace.
pub fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    // What `cargo run` tells this task about itself would make build scripts that ask for it (ring's) run again, and all
    // above them be built anew, whenever a build by hand comes between.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Says which command it is, runs it and wants success.
pub fn run(command: &mut Command) -> Result {
    println!("$ {}", line(command));
    let status = command.stdin(Stdio::null()).status().context(line(command))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", line(command)).into()) }
}

/// Runs a command in silence and hands back what it said.
pub fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).output()
}

/// Whether the command can be run and succeeds; what it says is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    output(command).is_ok_and(|output| output.status.success())
}

/// The command as one would type it, without the folder of the program.
pub fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(command.get_program()).to_string_lossy()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy()));
    words.join(" ")
}
