// SPDX-License-Identifier: BSD-3-Clause
//! [`System`]: files and scripts, read within the memory that there is.

use crate::{evaluate::Outside, fill::no_memory, rope::Rope};
use nbdkit_plugin::{EIO, Error, Result};
use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

/// Files and scripts of this system.
pub(crate) struct System {
    /// How many bytes may still be read.
    pub(crate) memory: u64,
    /// Scripts may read standard input: it does not belong to a client.
    pub(crate) stdin: bool,
}

/// Read at once; where all of it is zero, it is a hole.
const PIECE: u64 = 256 << 10;

impl Outside for System {
    fn file(&mut self, path: &Path, most: Option<u64>) -> Result<Rope> {
        let title = format!("data parameter: <{}", path.display());
        let file = File::open(path).map_err(|error| Error::io(error, title.clone()))?;
        self.read(file, most, &title)
    }

    fn script(&mut self, script: &OsStr, most: Option<u64>) -> Result<Rope> {
        let title = format!("data parameter: <({})", script.display());
        let fail = |error| Error::io(error, title.clone());
        // Behind the dashes a script may begin with one.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "--"]).arg(script).stdout(Stdio::piped());
        if !self.stdin {
            shell.stdin(Stdio::null());
        }
        let mut child = shell.spawn().map_err(fail)?;
        // The pipe is closed when enough was read: a script that goes on writing ends by that.
        let rope =
            child.stdout.take().map_or_else(|| Ok(Rope::hole(0)), |pipe| self.read(pipe, most, &title));
        let status = child.wait().map_err(fail)?;
        // One that was cut short may well complain.
        match most.is_some() || rope.is_err() || status.success() {
            true => rope,
            false => Err(Error::new(EIO, format!("{title}: external command failed: {status}"))),
        }
    }
}

impl System {
    fn read(&mut self, from: impl Read, most: Option<u64>, title: &str) -> Result<Rope> {
        let mut from = from.take(most.unwrap_or(u64::MAX));
        let (mut pieces, mut len) = (Vec::new(), 0);
        loop {
            let mut piece = Vec::new();
            let read = from.by_ref().take(PIECE).read_to_end(&mut piece);
            read.map_err(|error| Error::io(error, title.to_owned()))?;
            if piece.is_empty() {
                return Rope::join(pieces, len);
            }
            let rope = Rope::bytes(piece.into());
            self.memory = self.memory.checked_sub(rope.len()).ok_or_else(|| no_memory(title))?;
            let start = len;
            len += rope.len();
            pieces.push((start, rope));
        }
    }
}

/// Neither files nor scripts.
pub(crate) struct Nothing;

impl Outside for Nothing {
    fn file(&mut self, path: &Path, _: Option<u64>) -> Result<Rope> {
        Err(Error::invalid(format!("<{}: no files here", path.display())))
    }

    fn script(&mut self, script: &OsStr, _: Option<u64>) -> Result<Rope> {
        Err(Error::invalid(format!("<({}): no scripts here", script.display())))
    }
}
