// SPDX-License-Identifier: BSD-3-Clause
//! Where descriptions come from.

use crate::values::{Describe, LONGEST};
use nbdkit_filter::{Error, Export, Log, Op, Result};
use nbdkit_subprocess::{Invocation, Limits};

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
            export.description = output(&command, &export.name, &log).unwrap_or_else(|error| {
                log.error(format_args!("exportdesc: description of {:?}: {error}", export.name));
                None
            });
        }
        Ok(exports)
    })
}

/// What is kept of what a command complains of, in bytes.
const MOST_ERRORS: usize = 4096;

/// What the shell prints, up to the length of a description; `None` for nothing.
fn output(command: &str, name: &str, log: &Log) -> Result<Option<String>> {
    // The name comes from a client: as a value of the environment it is never read as an option or as a command.
    let shell = Invocation::new("/bin/sh").args(["-c", "--", command]).env("name", name);
    let finished = shell.run(b"", Limits { output: LONGEST, errors: MOST_ERRORS });
    let finished = finished.map_err(|error| Error::io(error, "/bin/sh"))?;
    for line in String::from_utf8_lossy(&finished.errors).lines() {
        log.error(format_args!("exportdesc: description of {name:?}: {line}"));
    }
    let text = finished.output.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut text = String::from_utf8_lossy(text.strip_suffix(b"\n").unwrap_or(text)).into_owned();
    // What is not UTF-8 has become longer.
    text.truncate(text.floor_char_boundary(LONGEST));
    Ok((!text.is_empty()).then_some(text))
}
