// SPDX-License-Identifier: BSD-3-Clause
//! [`Source`]: what was asked to be served, and how a client's export is found in it.

use crate::{
    directory::{check_directory, list, member, open_directory},
    open::{OpenFile, check_servable, open_file},
    params::Params,
    sys,
};
use nbdkit_plugin::{Arc, Error, Export, Log, Result};
use rustix::{
    fs::{CWD, FileType, OFlags, fcntl_getfl, fstat, stat},
    io::Errno,
};
use std::{
    fs::{File, canonicalize},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// What is said when there is nothing to serve.
pub(crate) const MISSING: &str = "you must supply [file=]<FILENAME>, dir=<DIRNAME>, fd=<FD> or dirfd=<FD> \
     parameter after the plugin name on the command line";

/// One of four. Paths are absolute and without symbolic links: the server leaves its directory later.
pub(crate) enum Source {
    File(PathBuf),
    Directory(PathBuf),
    Fd(Inherited),
    DirectoryFd(OwnedFd),
}

/// A file that was open when the server was started.
pub(crate) struct Inherited {
    name: String,
    file: Arc<File>,
    write: bool,
}

impl Source {
    /// Looks at what the parameters name, so that what cannot be served is said at once.
    pub(crate) fn new(params: &Params) -> Result<Source> {
        match (&params.file, &params.dir, params.fd, params.dirfd) {
            (Some(path), ..) => Ok(Source::File(file(path)?)),
            (_, Some(path), ..) => Ok(Source::Directory(directory(path)?)),
            (_, _, Some(fd), _) => Ok(Source::Fd(inherited(fd.0)?)),
            (.., Some(fd)) => {
                let name = format!("dirfd={}", fd.0);
                Ok(Source::DirectoryFd(check_directory(duplicate(fd.0, &name)?, &name)?))
            }
            _ => Err(Error::invalid(MISSING)),
        }
    }

    /// What a client may open; `None` where the name of the export does not matter.
    pub(crate) fn list(&self) -> Result<Option<Vec<Export>>> {
        match self {
            Source::File(_) | Source::Fd(_) => Ok(None),
            Source::Directory(path) => list(&open_directory(path, "dir")?).map(Some),
            Source::DirectoryFd(dir) => list(dir).map(Some),
        }
    }

    /// Opens the file that `export` means.
    pub(crate) fn open(&self, export: &str, read_only: bool, log: &Log) -> Result<OpenFile> {
        match self {
            Source::File(path) => open_file(CWD, path, &path.to_string_lossy(), read_only, log),
            Source::Directory(path) => {
                open_file(open_directory(path, "dir")?, member(export)?, export, read_only, log)
            }
            Source::DirectoryFd(dir) => open_file(dir, member(export)?, export, read_only, log),
            // Shared, not duplicated: all reads and writes say their offset.
            Source::Fd(Inherited { name, file, write }) => {
                OpenFile::new(file.clone(), name, *write && !read_only, log)
            }
        }
    }
}

fn file(path: &Path) -> Result<PathBuf> {
    let failed = |error| Error::io(error, format!("file={}", path.display()));
    let real = canonicalize(path).map_err(failed)?;
    let stat = stat(&real).map_err(|error| failed(error.into()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            Err(Error::invalid(format!("use dir= to serve files within {}", path.display())))
        }
        kind => check_servable(kind, &path.to_string_lossy()).map(|()| real),
    }
}

fn directory(path: &Path) -> Result<PathBuf> {
    let name = format!("dir={}", path.display());
    let real = canonicalize(path).map_err(|error| Error::io(error, name.clone()))?;
    open_directory(&real, &name).map(|_| real)
}

fn duplicate(fd: i32, name: &str) -> Result<OwnedFd> {
    sys::duplicate(fd).map_err(|error| Error::io(error, name.to_owned()))
}

fn inherited(fd: i32) -> Result<Inherited> {
    let name = format!("fd={fd}");
    let failed = |error: Errno| Error::io(error.into(), name.clone());
    let fd = duplicate(fd, &name)?;
    match FileType::from_raw_mode(fstat(&fd).map_err(failed)?.st_mode) {
        FileType::Directory => {
            return Err(Error::invalid(format!("use dirfd= to serve files within {name}")));
        }
        kind => check_servable(kind, &name)?,
    }
    let flags = fcntl_getfl(&fd).map_err(failed)?;
    let access = flags & OFlags::RWMODE;
    if flags.contains(OFlags::PATH) || access == OFlags::WRONLY {
        return Err(Error::invalid(format!("{name} cannot be read, should be opened for reading")));
    }
    // The system puts every write to such a file at its end, wherever it was meant to go.
    if flags.contains(OFlags::APPEND) && access == OFlags::RDWR {
        return Err(Error::invalid(format!("{name} was opened for appending, should be without O_APPEND")));
    }
    Ok(Inherited { name, file: Arc::new(fd.into()), write: access == OFlags::RDWR })
}
