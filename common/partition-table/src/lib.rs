// SPDX-License-Identifier: BSD-3-Clause
//! Where partition N of a disk lies: [`Search`] says which bytes it wants to see and, in the end, the answer.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bytes;
mod crc32;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod gpt;
mod image;
mod mbr;
mod scan;

pub use error::Error;
pub use image::{find, list};
pub use scan::{Scan, ScanStep};

use std::fmt;

/// The kind of a partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Master boot record, with logical partitions in a chain of extended boot records.
    Mbr,
    /// GUID partition table (UEFI specification, chapter 5).
    Gpt,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mbr => "MBR",
            Self::Gpt => "GPT",
        })
    }
}

/// A part of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1. Logical partitions of an MBR begin at 5.
    pub number: u32,
    /// Where it begins on the disk, in bytes.
    pub offset: u64,
    /// Its length in bytes, at least one sector. `offset + len` is within the disk.
    pub len: u64,
}

/// What a table says; [`Table::partition`] says whether to believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Which table it is.
    pub kind: Kind,
    disk_size: u64,
    sector_size: u64,
    /// In the order of their numbers.
    entries: Vec<Entry>,
}

/// A used entry of a table, in sectors; not checked against anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    number: u32,
    first: u64,
    /// Inclusive, as in a GPT.
    last: u64,
}

impl Table {
    /// The numbers of the partitions in the table, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().map(|entry| entry.number)
    }

    /// Where a partition lies.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Backwards`], or [`Error::PastDisk`] if it reaches past the end of the disk.
    pub fn partition(&self, number: u32) -> Result<Partition, Error> {
        let Self { kind, disk_size, sector_size, .. } = *self;
        let Some(&Entry { first, last, .. }) = self.entries.iter().find(|entry| entry.number == number)
        else {
            return Err(Error::NotFound { kind, number });
        };
        if first > last {
            return Err(Error::Backwards { kind, number, first, last });
        }
        let bytes = |sector: u64| sector.checked_mul(sector_size);
        let end = last.checked_add(1).and_then(bytes).filter(|end| *end <= disk_size);
        match bytes(first).zip(end) {
            Some((offset, end)) => Ok(Partition { number, offset, len: end - offset }),
            None => Err(Error::PastDisk { kind, number, first, last, sector_size, disk_size }),
        }
    }
}

/// What a [`Search`] wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Read these bytes of the disk, and give them to the next step. They lie within the disk.
    Read {
        /// Where they begin, a multiple of the sector size.
        offset: u64,
        /// How many, at most [`MAX_READ`].
        len: usize,
    },
    /// The partition. The search is over.
    Found(Partition),
}

/// The longest read a search asks for: 1 MiB.
pub const MAX_READ: usize = 1 << 20;

/// A search for one partition. It does no I/O: see [`Search::step`].
#[derive(Debug)]
pub struct Search {
    scan: Scan,
    number: u32,
}

impl Search {
    /// A search for partition `number` (from 1) on a disk of `disk_size` bytes and sectors of 512 or 4096.
    ///
    /// # Errors
    ///
    /// [`Error::SectorSize`], [`Error::Number`] or [`Error::TooSmall`].
    pub fn new(disk_size: u64, sector_size: u32, number: u32) -> Result<Self, Error> {
        if number == 0 {
            return Err(Error::Number);
        }
        Ok(Self { scan: Scan::new(disk_size, sector_size)?.up_to(number), number })
    }

    /// Goes on. The first step takes `None`, every other what the step before asked to read. There are at
    /// most a few hundred, whatever is on the disk.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the table, or with the use of the search. It is over then.
    pub fn step(&mut self, read: Option<&[u8]>) -> Result<Step, Error> {
        match self.scan.step(read)? {
            ScanStep::Read { offset, len } => Ok(Step::Read { offset, len }),
            ScanStep::Done(table) => Ok(Step::Found(table.partition(self.number)?)),
        }
    }
}
