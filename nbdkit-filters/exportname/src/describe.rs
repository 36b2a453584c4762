// SPDX-License-Identifier: BSD-3-Clause
//! Where descriptions come from.

use crate::values::{Describe, LONGEST};
use nbdkit_filter::{Error, Export, Log, Op, Result};
use std::{
    io::Read,
    process::{Command, Stdio},
};

impl Describe {
    /// Describes each of `exports`, which have the descriptions of the plugin.
    pub(crate) fn all(&self, mut exports: Vec<Export>, log: Log) -> Op<'static, Vec<Export>> {
        let fixed = match self {
            Describe::Keep => return Op::ok(exports),
            Describe::Not => None,
            Describe::Fixed(text) => Some(text),
            Describe::Script(command) => return scripted(command.clone(), exports, log),
        };
        exports.iter_mut().for_each(|export| export.description = fixed.cloned());
        Op::ok(exports)
    }
}

/// Runs `command` for each of `exports`. What fails is logged: a client can do without a description.
fn scripted(command: String, mut exports: Vec<Export>, log: Log) -> Op<'static, Vec<Export>> {
    Op::blocking(move || {
        for export in &mut exports {
            export.description = output(&command, &export.name).unwrap_or_else(|error| {
                log.error(format_args!("exportdesc: description of {:?}: {error}", export.name));
                None
            });
        }
        Ok(exports)
    })
}

/// What the shell prints, up to the length of a description; `None` for nothing.
fn output(command: &str, name: &str) -> Result<Option<String>> {
    let failed = |error| Error::io(error, "/bin/sh");
    // The name comes from a client: as a value of the environment it is never read as an option or as a command.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "--", command]).env("name", name).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = shell.spawn().map_err(failed)?;
    let mut printed = Vec::new();
    let read = child.stdout.take().map(|stdout| stdout.take(LONGEST as u64).read_to_end(&mut printed));
    child.wait().map_err(failed)?;
    read.transpose().map_err(failed)?;

    let text = printed.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut text = String::from_utf8_lossy(text.strip_suffix(b"\n").unwrap_or(text)).into_owned();
    // What is not UTF-8 has become longer.
    text.truncate(text.floor_char_boundary(LONGEST));
    Ok((!text.is_empty()).then_some(text))
}
