// SPDX-License-Identifier: BSD-3-Clause
//! The header and the entries of a GUID partition table (UEFI specification, 5.3).

use crate::bytes::{array_at, u32_at, u64_at};
use crate::crc32::crc32;
use crate::scan::Disk;
use crate::{Entry, Error, MAX_READ};

/// What a header says of the entries.
#[derive(Debug)]
pub(crate) struct Header {
    /// Where the entries are in bytes, and how long a read of whole sectors gets them all.
    pub(crate) place: (u64, u64),
    count: u32,
    /// Bytes of an entry, 128 to 4096.
    entry_size: usize,
    /// CRC32 of all entries.
    crc: u32,
}

impl Header {
    /// Parses and checks the header in sector 1.
    pub(crate) fn parse(sector: &[u8], disk: Disk) -> Result<Self, Error> {
        let size = u32_at(sector, 12);
        let header =
            usize::try_from(size).ok().filter(|size| *size >= 92).and_then(|size| sector.get(..size));
        let Some(header) = header else {
            return Err(Error::GptHeaderSize { size, sector_size: disk.sector });
        };
        // The checksum is that of the header with its own place, bytes 16 to 19, zero.
        let (stored, computed) = (u32_at(header, 16), crc32(&[&header[..16], &[0; 4], &header[20..]]));
        if stored != computed {
            return Err(Error::GptHeaderCrc { computed, stored });
        }
        let at = u64_at(header, 24);
        if at != 1 {
            return Err(Error::GptHeaderSector { sector: at });
        }
        let (first, count, size) = (u64_at(header, 72), u32_at(header, 80), u32_at(header, 84));
        if !(128..=4096).contains(&size) || size % 8 != 0 {
            return Err(Error::GptEntrySize { size });
        }
        // A sector at least: nobody should be asked to read nothing.
        let len = (u64::from(count) * u64::from(size)).max(1).next_multiple_of(disk.sector);
        if len > MAX_READ as u64 {
            return Err(Error::GptTooLarge { entries: count, size });
        }
        let Some(offset) = disk.offset(first, len).filter(|_| first >= 2) else {
            return Err(Error::GptEntriesPlace { sector: first, len, disk_size: disk.size });
        };
        Ok(Self { place: (offset, len), count, entry_size: size as usize, crc: u32_at(header, 88) })
    }

    /// The entries in use, from the bytes that [`place`](Self::place) asked for.
    pub(crate) fn entries(&self, bytes: &[u8]) -> Result<Vec<Entry>, Error> {
        // The length was bounded when the header was parsed.
        let bytes = bytes.get(..self.count as usize * self.entry_size).unwrap_or_default();
        let computed = crc32(&[bytes]);
        if computed != self.crc {
            return Err(Error::GptEntriesCrc { computed, stored: self.crc });
        }
        let numbered = (1..).zip(bytes.chunks_exact(self.entry_size));
        let used = numbered.filter(|(_, entry)| array_at(entry, 0) != [0; 16]); // the GUID of the type
        Ok(used
            .map(|(number, entry)| Entry { number, first: u64_at(entry, 32), last: u64_at(entry, 40) })
            .collect())
    }
}
