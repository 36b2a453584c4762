// SPDX-License-Identifier: BSD-3-Clause
//! [`OpenFile`]: a file of one client, and what is known of it.

use crate::{blockdev::Device, evict::Evict, write::writes_to_memory};
use nbdkit_plugin::{Arc, Error, Log, Result};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, SeekFrom, fstat, openat, seek, statat},
    io::Errno,
};
use std::{
    fs::File,
    io,
    os::fd::AsFd,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// A regular file or block device that is open for a client.
pub(crate) struct OpenFile {
    pub file: Arc<File>,
    /// How messages call it.
    pub name: String,
    /// In bytes, when it was opened.
    pub size: u64,
    pub write: bool,
    /// `None`: a regular file.
    pub device: Option<Device>,
    /// Writing is copying to the page cache, or to a file that lives in memory.
    pub writes_to_memory: bool,
    pub abilities: Abilities,
    /// Set if pages are dropped after use.
    pub evict: Option<Evict>,
    /// Where it is told how ranges are zeroed, if anywhere.
    pub zero_log: Option<Log>,
}

/// What not every kernel and file system can do.
pub(crate) struct Abilities {
    /// Writing that fails instead of sleeping: `RWF_NOWAIT`.
    pub nowait: Ability,
    /// Writing that ends when the data is on permanent storage: `RWF_DSYNC`.
    pub dsync: Ability,
    /// Making a hole: `FALLOC_FL_PUNCH_HOLE`.
    pub punch_hole: Ability,
    /// Zeroing allocated space: `FALLOC_FL_ZERO_RANGE`.
    pub zero_range: Ability,
    /// Filling a hole with allocated zeroes: `fallocate(2)` without flags.
    pub allocate: Ability,
    /// Telling a device that data is not needed: `BLKDISCARD`.
    pub discard: Ability,
}

impl OpenFile {
    /// Messages call it `name`.
    ///
    /// # Errors
    /// Unless `file` is a regular file or a block device.
    pub(crate) fn new(file: Arc<File>, name: &str, write: bool, log: &Log) -> Result<OpenFile> {
        let failed = |error: Errno| Error::io(error.into(), format!("open: {name}"));
        let stat = fstat(&file).map_err(failed)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        check_servable(kind, name)?;
        let device = (kind == FileType::BlockDevice).then(|| Device::of(&file, stat.st_rdev));
        let size = match device {
            // All I/O says its offset, so that the position in the file is free to be moved.
            Some(_) => seek(&file, SeekFrom::End(0)).map_err(failed)?,
            None => u64::try_from(stat.st_size).unwrap_or(0),
        };
        let write = write && !device.as_ref().is_some_and(|device| device.read_only);
        let writes_to_memory = device.is_none() && writes_to_memory(&file, size);
        let ability = |what| Ability { what, here: AtomicBool::new(true), log: log.clone() };
        let abilities = Abilities {
            nowait: ability("RWF_NOWAIT"),
            dsync: ability("RWF_DSYNC"),
            punch_hole: ability("FALLOC_FL_PUNCH_HOLE"),
            zero_range: ability("FALLOC_FL_ZERO_RANGE"),
            allocate: ability("fallocate"),
            discard: ability("BLKDISCARD"),
        };
        Ok(OpenFile {
            file,
            name: name.to_owned(),
            size,
            write,
            device,
            writes_to_memory,
            abilities,
            evict: None,
            zero_log: None,
        })
    }

    /// The error of an attempt to change what may only be read.
    pub(crate) fn read_only(&self) -> Error {
        Error::new(libc::EPERM, format!("{} may only be read", self.name))
    }

    /// The error of a failed system call: `NAME: write of 512 bytes at offset 0: No space left on device`.
    pub(crate) fn failed(&self, error: io::Error, call: &str, len: u64, offset: u64) -> Error {
        Error::io(error, format!("{}: {call} of {len} bytes at offset {offset}", self.name))
    }
}

/// Something that is taken to work until the system says that it does not.
pub(crate) struct Ability {
    what: &'static str,
    here: AtomicBool,
    log: Log,
}

impl Ability {
    /// Makes the call unless it is known to be no use. `None`: not supported here.
    ///
    /// # Errors
    /// Those of the call which do not mean that.
    pub(crate) fn attempt<T>(
        &self,
        mut call: impl FnMut() -> rustix::io::Result<T>,
    ) -> io::Result<Option<T>> {
        if !self.here.load(Relaxed) {
            return Ok(None);
        }
        match rustix::io::retry_on_intr(&mut call) {
            Ok(done) => Ok(Some(done)),
            // ENOTTY is how devices say it of an ioctl.
            Err(error @ (Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOTTY)) => {
                self.log.debug(format_args!("{} is not supported here: {error}", self.what));
                self.here.store(false, Relaxed);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Opens `path` in `dir` for reading and writing, or where that is not allowed for reading only.
pub(crate) fn open_file(
    dir: impl AsFd,
    path: &Path,
    name: &str,
    read_only: bool,
    log: &Log,
) -> Result<OpenFile> {
    let failed = |error: Errno| Error::io(error.into(), format!("open: {name}"));
    // Looked at before it is opened: opening a named pipe would wait for its other end.
    let stat = statat(&dir, path, AtFlags::empty()).map_err(failed)?;
    check_servable(FileType::from_raw_mode(stat.st_mode), name)?;

    let open = |access| openat(&dir, path, access | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty());
    let (fd, write) = match read_only {
        true => (open(OFlags::RDONLY), false),
        false => match open(OFlags::RDWR) {
            Err(error @ (Errno::ROFS | Errno::ACCESS | Errno::PERM)) => {
                log.debug(format_args!("{name}: opened read-only: {error}"));
                (open(OFlags::RDONLY), false)
            }
            opened => (opened, true),
        },
    };
    OpenFile::new(Arc::new(fd.map_err(failed)?.into()), name, write, log)
}

/// # Errors
/// Unless it is a regular file or a block device.
pub(crate) fn check_servable(kind: FileType, name: &str) -> Result<()> {
    match is_servable(kind) {
        true => Ok(()),
        false => Err(Error::invalid(format!("file is not regular or block device: {name}"))),
    }
}

pub(crate) fn is_servable(kind: FileType) -> bool {
    matches!(kind, FileType::RegularFile | FileType::BlockDevice)
}
