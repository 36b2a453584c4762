// SPDX-License-Identifier: BSD-3-Clause
//! Who competes, and with which command line each serves an export.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::connection::Address;
use super::export::{Export, Kind};
use super::server::Transport;
use crate::process::{Result, output, succeeds};

/// Whose program it is. Ratios compare ours to the best of each other family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Ours,
    /// Another build of ours, to see what a change bought.
    Before,
    Nbdkit,
    Qemu,
}

/// A program with the options it competes with.
#[derive(Clone, Debug)]
pub struct Contender {
    pub name: &'static str,
    pub family: Family,
    program: PathBuf,
    options: &'static [&'static str],
    /// What the program says its version is.
    pub version: String,
}

impl Contender {
    /// All that can be found. `ours` must run; those missing of the others are left out.
    pub fn all(ours: &Path, before: Option<&Path>) -> Result<Vec<Contender>> {
        let version = version(ours).ok_or_else(|| format!("{} does not run", ours.display()))?;
        let ours =
            Contender { name: "ours", family: Family::Ours, program: ours.into(), options: &[], version };
        let mut all = vec![ours];
        let mut add = |name, family, program: Option<PathBuf>, options| {
            if let Some((program, version)) = program.and_then(version_of) {
                all.push(Contender { name, family, program, options, version });
            }
        };
        add("before", Family::Before, before.map(PathBuf::from), &[]);
        let nbdkit = original();
        add("nbdkit", Family::Nbdkit, nbdkit.clone(), &[]);
        add("nbdkit -t 1", Family::Nbdkit, nbdkit, &["-t", "1"]);
        add("qemu-nbd threads", Family::Qemu, Some("qemu-nbd".into()), &["threads"]);
        add("qemu-nbd io_uring", Family::Qemu, Some("qemu-nbd".into()), &["io_uring"]);
        Ok(all)
    }

    pub fn is_nbdkit(&self) -> bool {
        self.family != Family::Qemu
    }

    /// Whether this program has such an export at all.
    pub fn can_serve(&self, kind: Kind, transport: Transport) -> bool {
        self.is_nbdkit() || kind == Kind::File && transport != Transport::Tls
    }

    /// The command that serves `export` in the foreground.
    pub fn serve(&self, export: &Export, address: &Address) -> Command {
        let mut command = Command::new(&self.program);
        if self.is_nbdkit() {
            command.arg("-f").args(self.options);
            match address {
                Address::Unix(path) => command.arg("-U").arg(path),
                Address::Tls { socket, certificates } => {
                    let mut given = OsString::from("--tls-certificates=");
                    given.push(certificates);
                    command.arg("-U").arg(socket).arg("--tls=require").arg(given)
                }
                Address::Tcp(port) => command.args(["-i", "127.0.0.1", "-p", &port.to_string()]),
            };
            command.args(export.filters.iter().map(|filter| format!("--filter={filter}")));
            command.args(&export.plugin);
            command.args(&export.parameters);
        } else {
            command.args(["-t", "--shared=0", "--cache=writeback", "--image-opts"]);
            match address {
                Address::Unix(path) | Address::Tls { socket: path, .. } => command.arg("-k").arg(path),
                Address::Tcp(port) => command.args(["-b", "127.0.0.1", "-p", &port.to_string()]),
            };
            // Without its locks: all programs serve the same file, one after the other.
            let file = export.path.display().to_string().replace(',', ",,");
            let aio = self.options.concat();
            command.arg(format!(
                "driver=raw,file.driver=file,file.filename={file},file.locking=off,file.aio={aio}"
            ));
        }
        command
    }

    pub fn has_filter(&self, name: &str) -> bool {
        let mut command = Command::new(&self.program);
        self.is_nbdkit()
            && succeeds(command.args([&format!("--filter={name}"), "memory", "1M", "--dump-plugin"]))
    }

    /// The command that starts, runs `true` with its export, and ends; qemu-nbd has no such thing.
    pub fn captive(&self) -> Option<Command> {
        self.is_nbdkit().then(|| {
            let mut command = Command::new(&self.program);
            command.args(self.options).args(["-U", "-", "memory", "1M", "--run", "true"]);
            command
        })
    }
}

/// The nbdkit in the search path that is not ours.
fn original() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("nbdkit"));
    found
        .filter(|program| program.is_file())
        .find(|program| version(program).is_some_and(|v| !v.contains("rust")))
}

fn version_of(program: PathBuf) -> Option<(PathBuf, String)> {
    let version = version(&program)?;
    Some((program, version))
}

/// The first line that `program --version` prints, or `None` if it does not run.
pub fn version(program: &Path) -> Option<String> {
    let output =
        output(Command::new(program).arg("--version")).ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}
