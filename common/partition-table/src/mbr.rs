// SPDX-License-Identifier: BSD-3-Clause
//! Master and extended boot records.
//!
//! Both have four entries of 16 bytes at byte 446 and the signature 55 aa at byte 510. An extended partition
//! begins with an extended boot record, which has one entry for a logical partition, counted from the record
//! itself, and one that links to the next record, counted from the start of the extended partition.

use crate::bytes::{array_at, u32_at};
use crate::{Entry, Error};

/// How many partitions the master boot record itself can name.
pub(crate) const PRIMARY: u32 = 4;

/// The longest chain that is followed. Linux numbers at most 256 partitions on a disk, and each link that
/// is not a spare one makes one; it also bounds what a hostile disk can make its reader do.
pub(crate) const MAX_LINKS: usize = 256;

/// A boot record.
pub(crate) struct Record([Slot; 4]);

/// An entry as it is on the disk: 16 bytes, of which the ancient addresses by cylinder are not looked at.
#[derive(Clone, Copy)]
struct Slot {
    /// Type of the partition; 0 for none.
    type_byte: u8,
    /// First sector, relative to something.
    start: u32,
    sectors: u32,
}

impl Slot {
    fn parse(entry: &[u8]) -> Self {
        let [type_byte] = array_at(entry, 4);
        Self { type_byte, start: u32_at(entry, 8), sectors: u32_at(entry, 12) }
    }

    fn is_used(&self) -> bool {
        self.type_byte != 0 && self.sectors != 0
    }

    /// Types of a partition that holds others: of DOS, of Windows 95, of Linux.
    fn is_extended(&self) -> bool {
        self.is_used() && matches!(self.type_byte, 0x05 | 0x0f | 0x85)
    }

    fn is_data(&self) -> bool {
        self.is_used() && !self.is_extended()
    }

    /// The entry of a partition, with starts counted from `base`.
    fn entry(&self, number: u32, base: u64) -> Entry {
        let first = base + u64::from(self.start); // both below 2^34
        Entry { number, first, last: first + u64::from(self.sectors) - 1 } // used, so it has a sector
    }
}

impl Record {
    /// The record in a sector, if it has the signature.
    pub(crate) fn parse(sector: &[u8]) -> Option<Self> {
        let slot = |n: usize| Slot::parse(sector.get(446 + 16 * n..).unwrap_or_default());
        (array_at(sector, 510) == [0x55, 0xaa]).then(|| Self([slot(0), slot(1), slot(2), slot(3)]))
    }

    /// Whether an entry of type ee keeps those off who know nothing of a GPT.
    pub(crate) fn is_protective(&self) -> bool {
        self.0.iter().any(|slot| slot.type_byte == 0xee)
    }

    /// Whether any partition is in it.
    pub(crate) fn is_in_use(&self) -> bool {
        self.0.iter().any(Slot::is_used)
    }

    /// The primary partitions.
    pub(crate) fn primary(&self) -> Vec<Entry> {
        let data = (1..).zip(&self.0).filter(|(_, slot)| slot.is_data());
        data.map(|(number, slot)| slot.entry(number, 0)).collect()
    }

    /// Where the extended partition begins, in sectors. There should be no second one.
    pub(crate) fn extended(&self) -> Option<u32> {
        self.0.iter().find(|slot| slot.is_extended()).map(|slot| slot.start)
    }
}

/// The chain of extended boot records, on the way.
#[derive(Debug)]
pub(crate) struct Chain {
    /// First sector of the extended partition.
    base: u64,
    /// Sector of the record to read next.
    pub(crate) next: u64,
    /// Records read so far, to notice a loop: at most [`MAX_LINKS`].
    seen: Vec<u64>,
    /// Number of the last logical partition.
    number: u32,
}

impl Chain {
    pub(crate) fn new(start: u32) -> Self {
        let base = u64::from(start);
        Self { base, next: base, seen: Vec::new(), number: PRIMARY }
    }

    /// Takes the record that was next: the logical partition in it, and whether there is another record.
    ///
    /// A record without a partition takes no number: such is what remains of the first of the chain when its
    /// partition was deleted.
    pub(crate) fn link(&mut self, sector: &[u8]) -> Result<(Option<Entry>, bool), Error> {
        let here = self.next;
        let Record(slots) = Record::parse(sector).ok_or(Error::EbrSignature { sector: here })?;
        let logical = slots[..2].iter().find(|slot| slot.is_data()).map(|slot| {
            self.number += 1; // MAX_LINKS times at most
            slot.entry(self.number, here)
        });
        self.seen.push(here);
        let Some(link) = slots[..2].iter().find(|slot| slot.is_extended()) else {
            return Ok((logical, false));
        };
        self.next = self.base + u64::from(link.start);
        Ok((logical, true))
    }

    /// Whether the next record may be read: it is new, and not one too many.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.seen.contains(&self.next) {
            return Err(Error::EbrLoop { sector: self.next });
        }
        if self.seen.len() == MAX_LINKS {
            return Err(Error::EbrTooLong { limit: MAX_LINKS });
        }
        Ok(())
    }
}
