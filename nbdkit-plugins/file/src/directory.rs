// SPDX-License-Identifier: BSD-3-Clause
//! A directory whose files are exports.

use crate::open::is_servable;
use nbdkit_plugin::{Error, Export, Result};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, open, statat},
    io::Errno,
};
use std::{ffi::CStr, os::fd::OwnedFd, path::Path};

/// As many as a server lists.
const MOST_EXPORTS: usize = 10_000;

/// Opens the directory at `path`, which is called `name` in messages.
pub(crate) fn open_directory(path: &Path, name: &str) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::io(error.into(), name.to_owned()))
}

/// `dir` if it is a directory.
pub(crate) fn check_directory(dir: OwnedFd, name: &str) -> Result<OwnedFd> {
    let stat = fstat(&dir).map_err(|error| Error::io(error.into(), name.to_owned()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok(dir),
        _ => Err(Error::invalid(format!("{name} is not a directory"))),
    }
}

/// The path of the file that `export` means: one directly inside the directory.
pub(crate) fn member(export: &str) -> Result<&Path> {
    match export {
        "" => Err(Error::invalid("open: cannot use empty file name or export name (\"\")")),
        _ if export.contains('/') => Err(Error::invalid(format!("{export}: exportname cannot contain /"))),
        _ => Ok(Path::new(export)),
    }
}

/// All files and block devices in `dir`, in the order of the directory.
pub(crate) fn list(dir: &OwnedFd) -> Result<Vec<Export>> {
    let failed = |error: Errno| Error::io(error.into(), "reading the directory");
    let mut exports = Vec::new();
    for entry in Dir::read_from(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // The protocol's names are UTF-8: a file with another name cannot be asked for.
        let Ok(name) = entry.file_name().to_str() else { continue };
        if !is_servable(kind(dir, entry.file_type(), entry.file_name())) {
            continue;
        }
        if exports.len() == MOST_EXPORTS {
            return Err(Error::invalid(format!(
                "the directory has too many files to list, should be at most {MOST_EXPORTS}"
            )));
        }
        exports.push(Export::new(name));
    }
    Ok(exports)
}

/// Follows symbolic links. What has gone meanwhile is of no kind.
fn kind(dir: &OwnedFd, kind: FileType, name: &CStr) -> FileType {
    match kind {
        FileType::Symlink | FileType::Unknown => statat(dir, name, AtFlags::empty())
            .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
        known => known,
    }
}
