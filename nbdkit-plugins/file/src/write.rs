// SPDX-License-Identifier: BSD-3-Clause
//! Writing, and whether it is done at once or by a thread that may sleep.

use crate::open::OpenFile;
use nbdkit_plugin::{Error, Result, Span};
use rustix::{
    fs::{fdatasync, fstatfs},
    io::{Errno, ReadWriteFlags, preadv2, pwritev2},
};
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    os::unix::fs::FileExt,
};

/// Copying this many bytes to the page cache takes some 20 us, and handing them to a thread 10 to 50 us: more is
/// handed over, so that other requests need not wait for the copy.
const SMALL: usize = 256 << 10;

/// What file systems read before they write a part of it.
const BLOCK: u64 = 4096;

/// Whether a write to the regular file `file` of `size` bytes is a copy to memory: not one that goes through another
/// program or over a network, as with FUSE and NFS. These do not know `RWF_NOWAIT` for reading.
pub(crate) fn writes_to_memory(file: &File, size: u64) -> bool {
    let mut one = [0];
    // At its end, so that nothing is read.
    match preadv2(file, &mut [IoSliceMut::new(&mut one)], size, ReadWriteFlags::NOWAIT) {
        Ok(_) | Err(Errno::AGAIN) => true,
        // tmpfs does not know it either.
        Err(_) => fstatfs(file).is_ok_and(|fs| fs.f_type == libc::TMPFS_MAGIC as _),
    }
}

impl OpenFile {
    /// Writes at once if that will not sleep. `None`: it might, so let a thread write all of it, again if need be.
    ///
    /// File systems that know `RWF_NOWAIT` for writing to the page cache (xfs, btrfs) are asked. With others (ext4,
    /// tmpfs) a small write only sleeps when the block around one of its ends must be read first, which is looked up,
    /// or when the system has more dirty pages than it likes.
    pub(crate) fn write_now(&self, data: &[u8], offset: u64) -> Option<Result<()>> {
        if !self.writes_to_memory || self.evict.is_some() || data.len() > SMALL {
            return None;
        }
        let flags = ReadWriteFlags::NOWAIT;
        match self.abilities.nowait.attempt(|| pwritev2(&self.file, &[IoSlice::new(data)], offset, flags)) {
            Ok(Some(written)) => return (written == data.len()).then_some(Ok(())),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => return Some(Err(self.write_failed(error, data, offset))),
        }
        let end = offset + data.len() as u64;
        if self.must_be_read(offset, offset) || self.must_be_read(end, end - 1) {
            return None;
        }
        Some(self.file.write_all_at(data, offset).map_err(|error| self.write_failed(error, data, offset)))
    }

    /// True if a write that starts or ends at `edge` cuts a block that is not in memory; `byte` is one of that block.
    fn must_be_read(&self, edge: u64, byte: u64) -> bool {
        let mut one = [0];
        let slices = &mut [IoSliceMut::new(&mut one)];
        !edge.is_multiple_of(BLOCK)
            && preadv2(&self.file, slices, byte, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN)
    }

    /// Writes all of `data`; with `fua`, to permanent storage. May sleep.
    pub(crate) fn write(&self, data: &[u8], offset: u64, fua: bool) -> Result<()> {
        let written =
            if fua { self.write_through(data, offset) } else { self.file.write_all_at(data, offset) };
        written.map_err(|error| self.write_failed(error, data, offset))?;
        self.evict_write(Span::new(offset, data.len() as u64))
    }

    /// Only these bytes become permanent: a flush would have everything that was written before wait for the device.
    fn write_through(&self, mut data: &[u8], mut offset: u64) -> io::Result<()> {
        let flags = ReadWriteFlags::DSYNC;
        while !data.is_empty() {
            let write = || pwritev2(&self.file, &[IoSlice::new(data)], offset, flags);
            match self.abilities.dsync.attempt(write)? {
                Some(0) => return Err(io::ErrorKind::WriteZero.into()),
                Some(written) => (data, offset) = (&data[written..], offset + written as u64),
                None => {
                    self.file.write_all_at(data, offset)?;
                    return Ok(fdatasync(&self.file)?);
                }
            }
        }
        Ok(())
    }

    /// Puts all that was written on permanent storage. May sleep.
    pub(crate) fn flush(&self) -> Result<()> {
        fdatasync(&self.file).map_err(|error| self.failed(error.into(), "flush", self.size, 0))
    }

    fn write_failed(&self, error: io::Error, data: &[u8], offset: u64) -> Error {
        self.failed(error, "write", data.len() as u64, offset)
    }
}
