// SPDX-License-Identifier: BSD-3-Clause
//! [`Program`]: a script, and how it is started.

use nbdkit_plugin::{EIO, Error, Result};
use nbdkit_subprocess::{Finished, Invocation, Limits};
use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

/// What runs a script that does not say so itself, as `execvp` would.
const SHELL: &str = "/bin/sh";

/// A script or another executable. It is started directly, with no shell between: arguments stay what they are.
#[derive(Clone, Debug)]
pub struct Program {
    /// Absolute, so that it is never taken for an option or looked for.
    path: PathBuf,
    /// It is known to need [`SHELL`].
    shell: bool,
}

impl Program {
    /// An executable that exists.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn existing(path: &Path) -> Result<Program> {
        let absolute =
            path.canonicalize().map_err(|error| Error::io(error, format!("script={}", path.display())))?;
        let shell = is_for_us(&absolute);
        Ok(Program { path: absolute, shell })
    }

    /// Saves a script as the file `name` of `tmpdir`, readable and executable by its owner alone.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn save(tmpdir: &Path, name: &str, mut text: impl Read) -> Result<Program> {
        let path = tmpdir.join(name);
        let mut save = || {
            let mut file = File::options().write(true).create_new(true).mode(0o500).open(&path)?;
            io::copy(&mut text, &mut file)
        };
        save().map_err(|error| Error::io(error, path.display().to_string()))?;
        Ok(Program { path, shell: false })
    }

    /// By `/bin/sh`, whatever its first line says.
    pub fn by_shell(self) -> Program {
        Program { shell: true, ..self }
    }

    /// Runs `method` to its end.
    pub(crate) fn run(
        &self,
        tmpdir: &Path,
        method: &str,
        args: &[&dyn AsRef<OsStr>],
        input: &[u8],
        limits: Limits,
    ) -> Result<Finished> {
        let run = |shell: bool| {
            let start =
                if shell { Invocation::new(SHELL).arg(&self.path) } else { Invocation::new(&self.path) };
            let args = args.iter().map(|arg| arg.as_ref());
            start.arg(method).args(args).env("tmpdir", tmpdir).run(input, limits)
        };
        let finished = match run(self.shell) {
            // No `#!` line, and not a binary of this machine.
            Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) && !self.shell => run(true),
            result => result,
        };
        // The errno of `exec` is nothing to the client: EPERM would mean that it may not write.
        finished.map_err(|error| {
            let why = Error::from(error);
            Error::new(EIO, format!("{self}: {method}: {why}"))
        })
    }
}

/// Whether the first line says `#!/usr/sbin/nbdkit sh`, so that it can be started as a program itself. Started like that
/// for a method, it would start us again, and so on for ever. For the shell that line is a comment.
fn is_for_us(path: &Path) -> bool {
    let mut line = Vec::new();
    // As much as the kernel reads of it, see execve(2).
    let read = File::open(path).and_then(|file| file.take(256).read_to_end(&mut line));
    let line = line.split(|byte| *byte == b'\n').next().and_then(|line| line.strip_prefix(b"#!"));
    let (Ok(_), Some(line)) = (read, line) else { return false };
    let us = std::env::current_exe().ok();
    // The first word, or behind `env` one of the others.
    line.split(u8::is_ascii_whitespace).map(|word| Path::new(OsStr::from_bytes(word))).any(|word| {
        word.file_name() == Some(OsStr::new("nbdkit")) || us.is_some() && word.canonicalize().ok() == us
    })
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tmpdir::TemporaryDirectory;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn scripts_that_start_us() {
        let tmpdir = TemporaryDirectory::create().unwrap();
        let us = std::env::current_exe().unwrap();
        for (line, ours) in [
            ("#!/usr/sbin/nbdkit sh", true),
            ("#! /nowhere/nbdkit sh", true),
            ("#!/usr/bin/env -S nbdkit sh", true),
            (&format!("#!{} sh", us.display()), true),
            ("#!/bin/sh", false),
            ("# /usr/sbin/nbdkit", false),
            ("#!/bin/sh -e nbdkit-not", false),
            ("", false),
        ] {
            let path = tmpdir.path().join("script");
            fs::write(&path, format!("{line}\n# nbdkit sh\n")).unwrap();
            assert_eq!(Program::existing(&path).unwrap().shell, ours, "{line}");
        }
    }

    #[test]
    fn saved_scripts() {
        let tmpdir = TemporaryDirectory::create().unwrap();
        let limits = Limits { output: 100, errors: 100 };
        let run = |program: &Program| {
            let finished = program.run(tmpdir.path(), "method", &[&"a b", &""], b"", limits).unwrap();
            String::from_utf8(finished.output).unwrap()
        };
        let print = "printf '[%s]' \"$@\" $tmpdir";
        let printed = format!("[method][a b][][{}]", tmpdir.path().display());
        for (name, text) in [("plain", print.to_owned()), ("shebang", format!("#!/bin/sh\n{print}"))] {
            let program = Program::save(tmpdir.path(), name, text.as_bytes()).unwrap();
            assert_eq!(fs::metadata(&program.path).unwrap().permissions().mode() & 0o7777, 0o500);
            assert_eq!(run(&program), printed, "{name}");
            assert_eq!(run(&program.by_shell()), printed, "{name}");
        }
        // Its first line is a comment if the shell was asked for.
        let other = format!("#!/bin/echo\n{print}");
        let program = Program::save(tmpdir.path(), "other", other.as_bytes()).unwrap();
        assert!(run(&program).ends_with("/other method a b \n"));
        assert_eq!(run(&program.by_shell()), printed);
        assert!(Program::save(tmpdir.path(), "other", &b""[..]).is_err(), "nothing is written over");
    }
}
