// SPDX-License-Identifier: BSD-3-Clause
//! [`Script`]: a command of the user's that knows whether it has happened.

use nbdkit_filter::{Error, Result};
use nbdkit_subprocess::{Invocation, Limits};
use std::{
    ffi::{OsStr, OsString},
    os::unix::process::ExitStatusExt,
};

#[derive(Clone)]
pub(crate) struct Script(Invocation);

/// It has happened.
const YES: i32 = 88;
/// What it prints is only for the log.
const LIMITS: Limits = Limits { output: 0, errors: 4096 };

impl Script {
    pub(crate) fn new(command: OsString) -> Script {
        // Both go to one pipe, which takes more than we keep: a script must not fail because it talks.
        let text = [OsStr::new("exec >&2\n"), &command].into_iter().collect::<OsString>();
        Script(Invocation::new("/bin/sh").arg("-c").arg(text))
    }

    /// Runs it to its end: whether it has happened.
    ///
    /// # Errors
    /// When it does not say so in an orderly way.
    pub(crate) fn run(&self) -> Result<bool> {
        let finished =
            self.0.run(&[], LIMITS).map_err(|error| Error::io(error, "exit-when-script: /bin/sh"))?;
        let printed = String::from_utf8_lossy(&finished.errors).trim_end().replace('\n', " ");
        let how = match (finished.status.code(), finished.status.signal()) {
            (Some(0), _) => return Ok(false),
            (Some(YES), _) => return Ok(true),
            (Some(code), _) => format!("exit-when-script: command failed with exit code {code}"),
            (None, signal) => {
                format!("exit-when-script: command was killed by signal {}", signal.unwrap_or_default())
            }
        };
        Err(Error::invalid(if printed.is_empty() { how } else { format!("{how}: {printed}") }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(command: &str) -> Result<bool, String> {
        Script::new(command.into()).run().map_err(|error| error.to_string())
    }

    #[test]
    fn exit_codes() {
        assert_eq!(run("true"), Ok(false));
        assert_eq!(run("exit 88"), Ok(true));
        assert_eq!(run("exit 3").unwrap_err(), "exit-when-script: command failed with exit code 3");
        assert_eq!(run("exit 99").unwrap_err(), "exit-when-script: command failed with exit code 99");
        assert_eq!(run("kill -9 $$").unwrap_err(), "exit-when-script: command was killed by signal 9");
        assert_eq!(
            run("echo one; echo two >&2; exit 1").unwrap_err(),
            "exit-when-script: command failed with exit code 1: one two"
        );
        assert!(run("no-such-command").unwrap_err().contains("exit code 127"));
        assert_eq!(run("# nothing"), Ok(false));
    }

    #[test]
    fn one_that_talks_a_lot_is_heard_out() {
        assert_eq!(
            run("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; exit 88"),
            Ok(true)
        );
    }
}
