// SPDX-License-Identifier: BSD-3-Clause
//! Writing, and whether it is done at once or by a thread that may sleep.

use crate::open::OpenFile;
use nbdkit_plugin::{Error, Result, Span};
use rustix::{
    fs::fdatasync,
    io::{Errno, ReadWriteFlags, preadv2, pwritev2},
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    os::unix::fs::FileExt,
};

/// Copying this many bytes to the page cache takes some 20 us, and handing them to a thread 10 to 50 us: more is
/// handed over, so that other requests need not wait for the copy.
const SMALL: usize = 256 << 10;

/// What file systems read before they write a part of it.
const BLOCK: u64 = 4096;

impl OpenFile {
    /// Writes at once if that will not sleep. `None`: it might, so let a thread write all of it.
    ///
    /// File systems that know `RWF_NOWAIT` for writing to the page cache (xfs, btrfs) are asked. With others (ext4,
    /// tmpfs) a small write to a regular file only sleeps when the block around one of its ends must be read first,
    /// which is looked up, or when the system has more dirty pages than it likes.
    pub(crate) fn write_now(&self, data: &[u8], offset: u64) -> Option<Result<()>> {
        if self.device.is_some() || self.evict.is_some() || data.len() > SMALL {
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
        while !data.is_empty() {
            match pwritev2(&self.file, &[IoSlice::new(data)], offset, ReadWriteFlags::DSYNC) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => (data, offset) = (&data[written..], offset + written as u64),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
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
