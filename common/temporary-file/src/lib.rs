// SPDX-License-Identifier: BSD-3-Clause
//! [`TemporaryFile`]: a file without a name, in which a layer keeps data.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::{Arc, Buf, Error, FileRange, Op, Result, Span};
use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};
use std::{
    fs::{File, Permissions},
    io,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Up to this many bytes go to the page cache at once; more than that is worth a hop to another thread.
const INLINE: u64 = 128 << 10;

static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

/// A file without a name, which the system removes when the process ends. Cheap to clone.
#[derive(Clone)]
pub struct TemporaryFile(Arc<File>);

impl TemporaryFile {
    /// In the directory `$TMPDIR`, or `/var/tmp` if that is not set or empty.
    ///
    /// # Errors
    /// That of the system; names the directory.
    pub fn create() -> Result<TemporaryFile> {
        let directory = std::env::var_os("TMPDIR").filter(|directory| !directory.is_empty());
        TemporaryFile::create_in(&directory.map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from))
    }

    /// In `directory`.
    ///
    /// # Errors
    /// That of the system; names the directory.
    pub fn create_in(directory: &Path) -> Result<TemporaryFile> {
        let file = tempfile::tempfile_in(directory).map_err(|error| {
            // Its own text names a file that never was.
            let plain = error.raw_os_error().map_or(error, io::Error::from_raw_os_error);
            let what =
                format!("no temporary file in {}, set TMPDIR to a directory for it", directory.display());
            Error::io(plain, what)
        })?;
        // Without a name it can still be found below /proc.
        let private = file.set_permissions(Permissions::from_mode(0o600));
        private.map_err(|error| Error::io(error, "permissions of the temporary file"))?;
        Ok(TemporaryFile(Arc::new(file)))
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// What is to be read at `place`.
    pub fn range(&self, place: Span) -> FileRange {
        FileRange::new(self.0.clone(), place.offset, place.len)
    }

    /// Writes `data` at `offset`.
    ///
    /// # Errors
    /// That of the system, such as `ENOSPC`.
    pub fn write(&self, data: Buf, offset: u64) -> Op<'static, ()> {
        let file = self.0.clone();
        here_or_there(data.len() as u64, move || {
            file.write_all_at(&data, offset).map_err(|error| Error::io(error, "write to the temporary file"))
        })
    }

    /// Makes `place`, which lies within the file, read as zeroes and take as little space as possible.
    ///
    /// # Errors
    /// That of the system.
    pub fn zero(&self, place: Span) -> Op<'static, ()> {
        let file = self.clone();
        here_or_there(place.len, move || {
            file.zero_now(place).map_err(|error| Error::io(error, "zeroing of the temporary file"))
        })
    }

    /// The same, before it returns.
    ///
    /// # Errors
    /// That of the system.
    pub fn zero_now(&self, place: Span) -> io::Result<()> {
        match self.punch(place) {
            // Not every file system has holes.
            Err(Errno::OPNOTSUPP) => self.write_zeroes(place),
            other => other.map_err(io::Error::from),
        }
    }

    /// Gives the space of `place` back to the file system, if that can take it. What is read there is undefined from
    /// then on.
    pub fn discard(&self, place: Span) -> Op<'static, ()> {
        let file = self.clone();
        here_or_there(place.len, move || match file.punch(place) {
            Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(Error::io(error.into(), "hole in the temporary file")),
        })
    }

    fn punch(&self, place: Span) -> rustix::io::Result<()> {
        if place.len == 0 {
            return Ok(());
        }
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&*self.0, hole, place.offset, place.len)
    }

    fn write_zeroes(&self, place: Span) -> io::Result<()> {
        let mut at = place.offset;
        while at < place.end() {
            let piece = (place.end() - at).min(ZEROES.len() as u64);
            // A piece is no longer than ZEROES.
            self.0.write_all_at(&ZEROES[..piece as usize], at)?;
            at += piece;
        }
        Ok(())
    }
}

fn here_or_there(len: u64, work: impl FnOnce() -> Result<()> + Send + 'static) -> Op<'static, ()> {
    match len <= INLINE {
        true => Op::now(work),
        false => Op::blocking(work),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn file() -> TemporaryFile {
        TemporaryFile::create_in(Path::new("/var/tmp")).unwrap()
    }

    fn now(op: Op<'_, ()>) {
        assert!(matches!(op, Op::Ready(Ok(()))));
    }

    #[test]
    fn is_private_and_names_the_directory_it_cannot_use() {
        let metadata = file().file().metadata().unwrap();
        assert_eq!((metadata.nlink(), metadata.mode() & 0o077), (0, 0));
        let error = TemporaryFile::create_in(Path::new("/nonexistent")).map(drop).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no temporary file in /nonexistent, set TMPDIR to a directory for it: No such file or directory"
        );
    }

    #[test]
    fn gives_space_back_and_reads_zeroes() {
        let file = file();
        now(file.write(Buf::from(vec![7; 65536]), 0));
        let full = file.file().metadata().unwrap().blocks();
        now(file.zero(Span::new(10, 40_000)));
        let mut bytes = [1; 65536];
        file.file().read_exact_at(&mut bytes, 0).unwrap();
        assert!(
            bytes.iter().enumerate().all(|(at, byte)| *byte == 7 * u8::from(!(10..40_010).contains(&at)))
        );
        now(file.discard(Span::new(0, 65536)));
        let metadata = file.file().metadata().unwrap();
        assert_eq!(metadata.len(), 65536, "the file is not cut");
        // Only where the file system has holes.
        assert!(metadata.blocks() < full, "{} of {full} sectors are left", metadata.blocks());
        file.write_zeroes(Span::new(1, 65535)).unwrap();
    }
}
