// SPDX-License-Identifier: BSD-3-Clause
//! Tables that no tool would make: each is an error that says what is wrong, and nothing panics or loops.
#![allow(clippy::unwrap_used)]

use nbdkit_partition_table::fuzz::{fuzz, mend};
use nbdkit_partition_table::{Error, Kind, Partition, Scan, ScanStep, Search, Step, find, list};
use proptest::collection::vec;
use proptest::prelude::*;

const SECTOR: usize = 512;
/// Sectors of the disks here.
const SECTORS: u64 = 2048;

/// A disk of zeroes but for an empty MBR.
fn mbr() -> Vec<u8> {
    let mut disk = vec![0; SECTORS as usize * SECTOR];
    boot_record(&mut disk, 0, &[]);
    disk
}

/// Writes a boot record with entries `(type, start, sectors)`.
fn boot_record(disk: &mut [u8], sector: u64, entries: &[(u8, u32, u32)]) {
    let record = &mut disk[sector as usize * SECTOR..][..SECTOR];
    for (slot, (type_byte, start, sectors)) in record[446..510].chunks_exact_mut(16).zip(entries) {
        slot[4] = *type_byte;
        slot[8..12].copy_from_slice(&start.to_le_bytes());
        slot[12..].copy_from_slice(&sectors.to_le_bytes());
    }
    record[510..].copy_from_slice(&[0x55, 0xaa]);
}

/// A GPT with 128 entries, of which `(number, first, last)` are in use.
fn gpt(sector_size: usize, entries: &[(usize, u64, u64)]) -> Vec<u8> {
    let mut disk = vec![0; SECTORS as usize * sector_size];
    boot_record(&mut disk, 0, &[(0xee, 1, u32::MAX)]);
    let header = &mut disk[sector_size..];
    header[..16].copy_from_slice(b"EFI PART\0\0\x01\0\x5c\0\0\0");
    put(header, 24, &1u64.to_le_bytes());
    put(header, 72, &2u64.to_le_bytes());
    put(header, 80, &128u32.to_le_bytes());
    put(header, 84, &128u32.to_le_bytes());
    for (number, first, last) in entries {
        let entry = &mut disk[2 * sector_size + 128 * (number - 1)..];
        entry[..16].fill(0xaf);
        put(entry, 32, &first.to_le_bytes());
        put(entry, 40, &last.to_le_bytes());
    }
    mend(&mut disk, sector_size).unwrap();
    disk
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..][..field.len()].copy_from_slice(field);
}

/// A GPT with one partition and one field of its header changed, checksums made right again.
fn gpt_with(at: usize, field: &[u8]) -> Vec<u8> {
    let mut disk = gpt(SECTOR, &[(1, 100, 199)]);
    put(&mut disk[SECTOR..], at, field);
    mend(&mut disk, SECTOR).unwrap();
    disk
}

fn message(disk: &[u8], number: u32) -> String {
    find(disk, SECTOR as u32, number).unwrap_err().to_string()
}

#[test]
fn no_table() {
    let nothing = "disk does not contain MBR or GPT partition table signature";
    assert_eq!(message(&[0; 4096], 1), nothing);
    assert_eq!(
        message(&[0; 1000], 1),
        "disk is too small to be a partitioned disk: 1000 bytes, less than 2 sectors of 512"
    );
    assert_eq!(message(&[0; 4096], 0), "partition number 0 must be 1 or more");
    assert_eq!(
        find(&[0; 9000], 1024, 1).unwrap_err().to_string(),
        "partition sector size 1024 must be 512 or 4096"
    );
}

#[test]
fn mbr_partition_past_the_disk() {
    let mut disk = mbr();
    boot_record(&mut disk, 0, &[(0x83, 2000, 48), (0x83, 2000, 49), (0x83, u32::MAX, u32::MAX)]);
    assert_eq!(find(&disk, 512, 1), Ok(Partition { number: 1, offset: 2000 * 512, len: 48 * 512 }));
    assert_eq!(
        message(&disk, 2),
        "MBR partition 2, sectors 2000 to 2048 of 512 bytes, reaches past the end of the disk (1048576 bytes)"
    );
    assert!(message(&disk, 3).starts_with("MBR partition 3, sectors 4294967295 to 8589934589 of 512 bytes"));
}

#[test]
fn mbr_entries_that_are_not_partitions() {
    let mut disk = mbr();
    boot_record(&mut disk, 0, &[(0, 1, 1), (0x83, 1, 0), (0x05, 100, 100)]);
    boot_record(&mut disk, 100, &[(0x83, 1, 1)]);
    for number in 1..=4 {
        assert_eq!(find(&disk, 512, number), Err(Error::NotFound { kind: Kind::Mbr, number }));
    }
    assert_eq!(find(&disk, 512, 5), Ok(Partition { number: 5, offset: 101 * 512, len: 512 }));
}

#[test]
fn ebr_loops() {
    let mut disk = mbr();
    boot_record(&mut disk, 0, &[(0x83, 1, 9), (0x0f, 100, 500)]);
    boot_record(&mut disk, 100, &[(0x83, 1, 9), (0x05, 10, 10)]);
    boot_record(&mut disk, 110, &[(0x83, 2, 8), (0x05, 20, 10)]);
    boot_record(&mut disk, 120, &[(0x83, 3, 7), (0x05, 10, 10)]);
    assert_eq!(find(&disk, 512, 6), Ok(Partition { number: 6, offset: 112 * 512, len: 8 * 512 }));
    assert!(find(&disk, 512, 7).is_ok(), "the last before the loop");
    assert_eq!(message(&disk, 8), "MBR chain of extended boot records comes back to sector 110");
    boot_record(&mut disk, 100, &[(0, 0, 0), (0x05, 0, 10)]);
    assert_eq!(message(&disk, 5), "MBR chain of extended boot records comes back to sector 100");
}

#[test]
fn ebr_elsewhere() {
    let mut disk = mbr();
    boot_record(&mut disk, 0, &[(0x05, 2000, 48), (0x83, 1, 9)]);
    assert!(find(&disk, 512, 2).is_ok(), "a primary partition has nothing to do with the chain");
    assert_eq!(message(&disk, 5), "MBR extended boot record at sector 2000 has no signature 55 aa");
    boot_record(&mut disk, 2000, &[(0x83, 1, 1), (0x05, 48, 1)]);
    assert!(find(&disk, 512, 5).is_ok());
    let past = "of 512 bytes is past the end of the disk (1048576 bytes)";
    assert_eq!(message(&disk, 6), format!("MBR extended boot record at sector 2048 {past}"));
    boot_record(&mut disk, 2000, &[(0x83, 1, 1), (0x05, 47, 1)]);
    assert_eq!(message(&disk, 6), "MBR extended boot record at sector 2047 has no signature 55 aa");
    boot_record(&mut disk, 2000, &[(0x83, u32::MAX, 1), (0x05, u32::MAX, 1)]);
    assert_eq!(message(&disk, 6), format!("MBR extended boot record at sector 4294969295 {past}"));
    assert!(message(&disk, 5).contains("sectors 4294969295 to 4294969295"), "counted from its record");
}

#[test]
fn ebr_chain_without_end() {
    let mut disk = mbr();
    boot_record(&mut disk, 0, &[(0x05, 100, 1900)]);
    for n in 0..1900 {
        boot_record(&mut disk, 100 + n, &[(0x83, 1, 1), (0x05, n as u32 + 1, 1)]);
    }
    assert_eq!(find(&disk, 512, 260).map(|partition| partition.offset), Ok((100 + 256) * 512));
    assert_eq!(message(&disk, 261), "MBR chain of extended boot records has more than 256 links");
    let mut scan = Scan::new(disk.len() as u64, 512).unwrap();
    let mut step = scan.step(None);
    let mut reads = 0;
    while let Ok(ScanStep::Read { offset, len }) = step {
        step = scan.step(Some(&disk[offset as usize..][..len]));
        reads += 1;
    }
    assert_eq!((reads, step), (257, Err(Error::EbrTooLong { limit: 256 })));
}

#[test]
fn gpt_partitions_at_and_past_the_end() {
    for sector_size in [512, 4096] {
        let top = u64::MAX;
        let entries =
            [(1, 40, 2047), (2, 40, 2048), (3, 50, 49), (4, 0, top), (5, top, top), (6, 1 << 55, 1 << 55)];
        let disk = gpt(sector_size, &entries);
        let sector = sector_size as u32;
        let (offset, len) = (40 * sector_size as u64, 2008 * sector_size as u64);
        assert_eq!(find(&disk, sector, 1), Ok(Partition { number: 1, offset, len }));
        for number in [2, 4, 5, 6] {
            assert!(matches!(find(&disk, sector, number), Err(Error::PastDisk { .. })), "{number}");
        }
        assert_eq!(
            find(&disk, sector, 3).unwrap_err().to_string(),
            "GPT partition 3 ends at sector 49, before its first sector 50"
        );
        assert_eq!(list(&disk, sector).unwrap().numbers().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn gpt_headers() {
    assert!(find(&gpt_with(12, &512u32.to_le_bytes()), 512, 1).is_ok(), "a header may fill its sector");
    for size in [0, 91, 513, u32::MAX] {
        let wrong = format!("GPT header size {size} must be from 92 to the sector size 512");
        assert_eq!(message(&gpt_with(12, &size.to_le_bytes()), 1), wrong);
    }
    assert_eq!(
        message(&gpt_with(24, &2u64.to_le_bytes()), 1),
        "GPT header in sector 1 says that it is in sector 2"
    );
    for size in [0u32, 1, 120, 132, 4104, u32::MAX] {
        let wrong = format!("GPT partition entry size {size} must be a multiple of 8 from 128 to 4096");
        assert_eq!(message(&gpt_with(84, &size.to_le_bytes()), 1), wrong);
    }
    for entries in [8193, u32::MAX] {
        let wrong = format!("GPT with {entries} partition entries of 128 bytes is larger than 1 MiB");
        assert_eq!(message(&gpt_with(80, &entries.to_le_bytes()), 1), wrong);
    }
    for sector in [0, 1, 2017, 2048, 1 << 55, u64::MAX] {
        let wrong = format!(
            "GPT partition entries, 16384 bytes from sector {sector}, \
             are not between the header and the end of the disk (1048576 bytes)"
        );
        assert_eq!(message(&gpt_with(72, &sector.to_le_bytes()), 1), wrong);
    }
    let not_found = Err(Error::NotFound { kind: Kind::Gpt, number: 1 });
    assert_eq!(find(&gpt_with(72, &2016u64.to_le_bytes()), 512, 1), not_found, "entries may end the disk");
    let none = gpt_with(80, &0u32.to_le_bytes());
    assert_eq!(find(&none, 512, 1), not_found);
    let mut search = Search::new(none.len() as u64, 512, 1).unwrap();
    search.step(None).unwrap();
    assert_eq!(search.step(Some(&none[..1024])), Ok(Step::Read { offset: 1024, len: 512 }), "never nothing");
}

#[test]
fn gpt_entries_of_another_size() {
    // 136 divides no sector, so entries lie across their borders.
    let mut disk = gpt_with(84, &136u32.to_le_bytes());
    disk[1024..].fill(0);
    let entry = &mut disk[1024 + 136 * 3..];
    entry[0] = 1;
    put(entry, 32, &[60, 0, 0, 0, 0, 0, 0, 0, 61]);
    mend(&mut disk, SECTOR).unwrap();
    assert_eq!(find(&disk, 512, 4), Ok(Partition { number: 4, offset: 60 * 512, len: 1024 }));
}

#[test]
fn gpt_damage() {
    let good = gpt(SECTOR, &[(1, 100, 199)]);
    let with_flip = |at: usize| {
        let mut disk = good.clone();
        disk[at] ^= 4;
        message(&disk, 1)
    };
    assert!(find(&good, 512, 1).is_ok());
    for at in [16, 56, 91] {
        assert!(with_flip(SECTOR + at).starts_with("GPT header is damaged: its CRC32 is 0x"), "{at}");
    }
    for at in [0, 32, 16383] {
        assert!(
            with_flip(2 * SECTOR + at).starts_with("GPT partition entries are damaged: their CRC32 is 0x")
        );
    }
    assert!(with_flip(SECTOR).starts_with("MBR announces a GPT, but sector 1 has no GPT signature"));
    // Without an MBR at all the GPT still counts.
    let mut disk = good.clone();
    disk[..SECTOR].fill(0);
    assert!(find(&disk, 512, 1).is_ok());
}

#[test]
fn wrong_use() {
    let disk = mbr();
    let new = || Search::new(disk.len() as u64, 512, 1).unwrap();
    assert_eq!(new().step(Some(&[0; 1024])), Err(Error::Input { wanted: None, got: Some(1024) }));
    let mut search = new();
    assert_eq!(search.step(None), Ok(Step::Read { offset: 0, len: 1024 }));
    let error = search.step(Some(&[0; 512])).unwrap_err();
    assert_eq!(error.to_string(), "search of the partition table asked for 1024 bytes and got 512 bytes");
    assert_eq!(search.step(Some(&disk[..1024])), Err(Error::Input { wanted: None, got: Some(1024) }));
    let mut search = new();
    search.step(None).unwrap();
    assert_eq!(search.step(None), Err(Error::Input { wanted: Some(1024), got: None }));
}

/// Bytes changed here and there: where a table has its fields, rather than anywhere.
fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let at = prop_oneof![446..512usize, 512..610usize, 1024..1300usize, 0..8192usize];
    vec((at, prop_oneof![any::<u8>(), Just(0), Just(5), Just(0xff)]), 0..12)
}

proptest! {
    #[test]
    fn random_bytes(disk in vec(any::<u8>(), 0..20_000)) {
        fuzz(&disk);
    }

    #[test]
    fn damaged_tables(changes in changes(), base in 0..3) {
        let mut disk = match base {
            0 => gpt(512, &[(1, 34, 100), (2, 101, 2047), (128, 0, 1)]),
            1 => gpt(4096, &[(1, 34, 100), (2, 101, 2047)]),
            _ => {
                let mut disk = mbr();
                boot_record(&mut disk, 0, &[(0x83, 5, 5), (0x05, 1, 2000)]);
                boot_record(&mut disk, 1, &[(0x83, 20, 5), (0x05, 1, 2000)]);
                boot_record(&mut disk, 2, &[(0x83, 30, 5), (0x05, 2, 2000)]);
                boot_record(&mut disk, 3, &[(0x83, 40, 5)]);
                disk
            }
        };
        for (at, byte) in changes {
            disk[at] = byte;
        }
        fuzz(&disk);
    }
}
