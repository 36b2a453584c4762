// SPDX-License-Identifier: BSD-3-Clause
//! [`Script`]: a command of the user's, run by a shell.

use nbdkit_filter::{Error, Result};
use nbdkit_subprocess::Invocation;
use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::ExitStatus,
};

pub(crate) struct Script {
    command: OsString,
    shell: &'static str,
}

/// Has arrays. Other systems have only the one that is everywhere.
const BASH: &str = "/bin/bash";
const SH: &str = "/bin/sh";

impl Script {
    pub(crate) fn new(command: OsString) -> Script {
        Script { command, shell: if Path::new(BASH).exists() { BASH } else { SH } }
    }

    pub(crate) fn has_arrays(&self) -> bool {
        self.shell == BASH
    }

    /// Runs it behind these assignments, to its end. What it says goes where the server's own messages go.
    ///
    /// # Errors
    /// When it cannot be run: what it returns does not matter.
    pub(crate) fn run(&self, variables: &str) -> Result<ExitStatus> {
        let text = [OsStr::new(variables), &self.command].into_iter().collect::<OsString>();
        let shell = Invocation::new(self.shell);
        // It stands in for sh, and shall behave like it.
        let shell = if self.has_arrays() { shell.arg("--posix") } else { shell };
        shell
            .arg("-c")
            .arg(text)
            .status()
            .map_err(|error| Error::io(error, format!("logscript: {}", self.shell)))
    }
}
