// SPDX-License-Identifier: BSD-3-Clause
//! Reading a whole table, one read after another.

use crate::bytes::array_at;
use crate::gpt::Header;
use crate::mbr::{self, Chain, Record};
use crate::{Entry, Error, Kind, Table};

/// What a [`Scan`] wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanStep {
    /// Read these bytes: see [`Step::Read`](crate::Step::Read).
    Read {
        /// Where they begin, a multiple of the sector size.
        offset: u64,
        /// How many, at most [`MAX_READ`](crate::MAX_READ).
        len: usize,
    },
    /// The table. The scan is over.
    Done(Table),
}

/// Reads a partition table without doing I/O: see [`Scan::step`].
#[derive(Debug)]
pub struct Scan {
    disk: Disk,
    /// No partition after this one is of interest.
    last: u32,
    /// What the last step asked for, in bytes.
    wanted: Option<usize>,
    entries: Vec<Entry>,
    state: State,
}

#[derive(Debug)]
enum State {
    Start,
    /// The first two sectors.
    Head,
    /// An extended boot record.
    Ebr(Chain),
    /// The partition entries of a GPT.
    GptEntries(Header),
    /// Done, or failed.
    Over,
}

/// What all parts of a table are checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    /// Bytes.
    pub(crate) size: u64,
    /// 512 or 4096 bytes.
    pub(crate) sector: u64,
}

impl Disk {
    /// Where a sector begins, in bytes, provided that all `len` bytes from there on are on the disk.
    pub(crate) fn offset(self, sector: u64, len: u64) -> Option<u64> {
        let offset = sector.checked_mul(self.sector)?;
        (offset.checked_add(len)? <= self.size).then_some(offset)
    }
}

impl Scan {
    /// A scan of a disk of `disk_size` bytes and sectors of 512 or 4096.
    ///
    /// # Errors
    ///
    /// [`Error::SectorSize`] or [`Error::TooSmall`].
    pub fn new(disk_size: u64, sector_size: u32) -> Result<Self, Error> {
        if ![512, 4096].contains(&sector_size) {
            return Err(Error::SectorSize(sector_size));
        }
        let sector_size = u64::from(sector_size);
        if disk_size < 2 * sector_size {
            return Err(Error::TooSmall { disk_size, sector_size });
        }
        let disk = Disk { size: disk_size, sector: sector_size };
        Ok(Self { disk, last: u32::MAX, wanted: None, entries: Vec::new(), state: State::Start })
    }

    /// The same scan, which stops at partition `number`: the chain of an MBR's logical partitions is
    /// followed no further than that, so faults further on do not matter.
    #[must_use]
    pub fn up_to(self, number: u32) -> Self {
        Self { last: number, ..self }
    }

    /// Goes on. The first step takes `None`, every other what the step before asked to read. There are at
    /// most a few hundred, whatever is on the disk.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the table as a whole, or with the use of the scan. It is over then.
    pub fn step(&mut self, read: Option<&[u8]>) -> Result<ScanStep, Error> {
        let (wanted, got) = (self.wanted.take(), read.map(<[u8]>::len));
        let state = std::mem::replace(&mut self.state, State::Over);
        let input = match read {
            Some(input) if wanted == got => input,
            None if matches!(state, State::Start) => &[],
            _ => return Err(Error::Input { wanted, got }),
        };
        match state {
            State::Start => self.read(0, 2 * self.disk.sector, State::Head),
            State::Head => self.head(input),
            State::Ebr(chain) => self.ebr(chain, input),
            State::GptEntries(header) => {
                self.entries = header.entries(input)?;
                Ok(self.done(Kind::Gpt))
            }
            State::Over => Err(Error::Input { wanted, got }),
        }
    }

    /// Which table is it? A GPT has an MBR before it, with an entry that keeps others off (UEFI, 5.2.3).
    /// That MBR may be missing, but one with partitions of its own and no such entry has replaced the GPT.
    fn head(&mut self, head: &[u8]) -> Result<ScanStep, Error> {
        let (sector0, sector1) = head.split_at(head.len() / 2);
        let mbr = Record::parse(sector0);
        let protective = mbr.as_ref().is_some_and(Record::is_protective);
        let in_use = mbr.as_ref().is_some_and(Record::is_in_use);
        let gpt = array_at(sector1, 0) == *b"EFI PART";
        match mbr {
            _ if gpt && (protective || !in_use) => {
                let header = Header::parse(sector1, self.disk)?;
                let (offset, len) = header.place;
                self.read(offset, len, State::GptEntries(header))
            }
            _ if protective => Err(Error::ProtectiveOnly { sector_size: self.disk.sector }),
            Some(mbr) => {
                self.entries = mbr.primary();
                match mbr.extended() {
                    Some(start) if self.last > mbr::PRIMARY => self.follow(Chain::new(start)),
                    _ => Ok(self.done(Kind::Mbr)),
                }
            }
            None => Err(Error::NoTable),
        }
    }

    /// An extended boot record has been read.
    fn ebr(&mut self, mut chain: Chain, sector: &[u8]) -> Result<ScanStep, Error> {
        let (logical, goes_on) = chain.link(sector)?;
        self.entries.extend(logical);
        if goes_on && self.entries.last().is_none_or(|entry| entry.number < self.last) {
            self.follow(chain)
        } else {
            Ok(self.done(Kind::Mbr))
        }
    }

    /// Asks for the extended boot record that is next.
    fn follow(&mut self, chain: Chain) -> Result<ScanStep, Error> {
        chain.check()?;
        let Disk { size: disk_size, sector: sector_size } = self.disk;
        let Some(offset) = self.disk.offset(chain.next, sector_size) else {
            return Err(Error::EbrPastDisk { sector: chain.next, sector_size, disk_size });
        };
        self.read(offset, sector_size, State::Ebr(chain))
    }

    fn read(&mut self, offset: u64, len: u64, state: State) -> Result<ScanStep, Error> {
        let len = len as usize; // MAX_READ at most
        (self.wanted, self.state) = (Some(len), state);
        Ok(ScanStep::Read { offset, len })
    }

    fn done(&mut self, kind: Kind) -> ScanStep {
        let entries = std::mem::take(&mut self.entries);
        ScanStep::Done(Table { kind, disk_size: self.disk.size, sector_size: self.disk.sector, entries })
    }
}
