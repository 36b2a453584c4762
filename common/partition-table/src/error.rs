// SPDX-License-Identifier: BSD-3-Clause
//! What can be wrong with a table, or with the request.

use std::fmt;

use crate::Kind;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)] // the fields are what the messages name
pub enum Error {
    /// Neither 512 nor 4096.
    SectorSize(u32),
    /// Partitions are numbered from 1.
    Number,
    /// There is no room for a table.
    TooSmall { disk_size: u64, sector_size: u64 },
    /// No signature was found.
    NoTable,
    /// The MBR says that there is a GPT, and there is none.
    ProtectiveOnly { sector_size: u64 },
    /// No such partition, or its entry is empty, or it is an extended partition, which only holds others.
    NotFound { kind: Kind, number: u32 },
    /// The last sector is before the first.
    Backwards { kind: Kind, number: u32, first: u64, last: u64 },
    /// The partition reaches past the end of the disk.
    PastDisk { kind: Kind, number: u32, first: u64, last: u64, sector_size: u64, disk_size: u64 },
    /// A link of the chain of logical partitions leads out of the disk.
    EbrPastDisk { sector: u64, sector_size: u64, disk_size: u64 },
    /// A link leads to a sector that is no extended boot record.
    EbrSignature { sector: u64 },
    /// A link leads back into the chain.
    EbrLoop { sector: u64 },
    /// The chain goes on after so many links.
    EbrTooLong { limit: usize },
    /// A GPT header is 92 bytes at least, and one sector at most.
    GptHeaderSize { size: u32, sector_size: u64 },
    /// The header was damaged.
    GptHeaderCrc { computed: u32, stored: u32 },
    /// The header says that it belongs elsewhere.
    GptHeaderSector { sector: u64 },
    /// The size of an entry is no multiple of 8 between 128 and 4096.
    GptEntrySize { size: u32 },
    /// The entries take more than 1 MiB.
    GptTooLarge { entries: u32, size: u32 },
    /// The entries are not between the header and the end of the disk.
    GptEntriesPlace { sector: u64, len: u64, disk_size: u64 },
    /// The entries were damaged.
    GptEntriesCrc { computed: u32, stored: u32 },
    /// The caller gave other bytes than were asked for: `None` where some were wanted, or the reverse.
    Input { wanted: Option<usize>, got: Option<usize> },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SectorSize(size) => write!(f, "partition sector size {size} must be 512 or 4096"),
            Self::Number => f.write_str("partition number 0 must be 1 or more"),
            Self::TooSmall { disk_size, sector_size } => write!(
                f,
                "disk is too small to be a partitioned disk: {disk_size} bytes, less than 2 sectors of {sector_size}"
            ),
            Self::NoTable => f.write_str("disk does not contain MBR or GPT partition table signature"),
            Self::ProtectiveOnly { sector_size } => write!(
                f,
                "MBR announces a GPT, but sector 1 has no GPT signature: are sectors other than {sector_size} bytes?"
            ),
            Self::NotFound { kind, number } => write!(f, "{kind} partition {number} not found"),
            Self::Backwards { kind, number, first, last } => {
                write!(f, "{kind} partition {number} ends at sector {last}, before its first sector {first}")
            }
            Self::PastDisk { kind, number, first, last, sector_size, disk_size } => write!(
                f,
                "{kind} partition {number}, sectors {first} to {last} of {sector_size} bytes, \
                 reaches past the end of the disk ({disk_size} bytes)"
            ),
            Self::EbrPastDisk { sector, sector_size, disk_size } => write!(
                f,
                "MBR extended boot record at sector {sector} of {sector_size} bytes \
                 is past the end of the disk ({disk_size} bytes)"
            ),
            Self::EbrSignature { sector } => {
                write!(f, "MBR extended boot record at sector {sector} has no signature 55 aa")
            }
            Self::EbrLoop { sector } => {
                write!(f, "MBR chain of extended boot records comes back to sector {sector}")
            }
            Self::EbrTooLong { limit } => {
                write!(f, "MBR chain of extended boot records has more than {limit} links")
            }
            Self::GptHeaderSize { size, sector_size } => {
                write!(f, "GPT header size {size} must be from 92 to the sector size {sector_size}")
            }
            Self::GptHeaderCrc { computed, stored } => {
                write!(f, "GPT header is damaged: its CRC32 is {computed:#010x}, but it says {stored:#010x}")
            }
            Self::GptHeaderSector { sector } => {
                write!(f, "GPT header in sector 1 says that it is in sector {sector}")
            }
            Self::GptEntrySize { size } => {
                write!(f, "GPT partition entry size {size} must be a multiple of 8 from 128 to 4096")
            }
            Self::GptTooLarge { entries, size } => {
                write!(f, "GPT with {entries} partition entries of {size} bytes is larger than 1 MiB")
            }
            Self::GptEntriesPlace { sector, len, disk_size } => write!(
                f,
                "GPT partition entries, {len} bytes from sector {sector}, \
                 are not between the header and the end of the disk ({disk_size} bytes)"
            ),
            Self::GptEntriesCrc { computed, stored } => write!(
                f,
                "GPT partition entries are damaged: their CRC32 is {computed:#010x}, but the header says {stored:#010x}"
            ),
            Self::Input { wanted, got } => {
                let bytes = |n: Option<usize>| n.map_or("nothing".to_owned(), |n| format!("{n} bytes"));
                write!(f, "search of the partition table asked for {} and got {}", bytes(wanted), bytes(got))
            }
        }
    }
}

impl std::error::Error for Error {}
