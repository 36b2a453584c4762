// SPDX-License-Identifier: BSD-3-Clause
//! For fuzzing: a disk of arbitrary bytes goes through everything, and every answer is checked.

use crate::bytes::{u32_at, u64_at};
use crate::crc32::crc32;
use crate::{Partition, find, list};

/// Looks for partitions in `disk` as it is, and again with the checksums of a GPT made right, so that chance
/// gets past them.
///
/// # Panics
///
/// If an answer breaks a promise: that is what a fuzzer looks for.
pub fn fuzz(disk: &[u8]) {
    for sector_size in [512, 4096] {
        check(disk, sector_size);
        let mut mended = disk.to_vec();
        if mend(&mut mended, sector_size as usize).is_some() {
            check(&mended, sector_size);
        }
    }
}

fn check(disk: &[u8], sector_size: u32) {
    let table = list(disk, sector_size);
    let numbers: Vec<u32> = table.iter().flat_map(|table| table.numbers()).collect();
    assert!(numbers.is_sorted_by(|a, b| 0 < *a && a < b), "{numbers:?}");
    for number in numbers.iter().copied().chain([0, 1, 4, 5, 6, 300, u32::MAX]) {
        let found = find(disk, sector_size, number);
        if let Ok(Partition { offset, len, .. }) = found {
            assert!(len > 0 && offset % u64::from(sector_size) == 0 && len % u64::from(sector_size) == 0);
            assert!(offset.checked_add(len).is_some_and(|end| end <= disk.len() as u64));
        }
        if let Ok(table) = &table {
            assert!(number == 0 || table.partition(number) == found, "{number}: {found:?}");
        }
        let _ = found.map_err(|error| error.to_string());
    }
}

/// Corrects the checksums of the entries and of the header, if there is something like a header.
pub fn mend(disk: &mut [u8], sector_size: usize) -> Option<()> {
    let header = disk.get(sector_size..2 * sector_size)?;
    let size = (u32_at(header, 12) as usize).clamp(92, sector_size);
    let first = usize::try_from(u64_at(header, 72)).ok().and_then(|first| first.checked_mul(sector_size));
    let len = (u32_at(header, 80) as usize).checked_mul(u32_at(header, 84) as usize);
    let entries = first.zip(len).and_then(|(first, len)| disk.get(first..)?.get(..len));
    if let Some(crc) = entries.map(|entries| crc32(&[entries])) {
        disk[sector_size + 88..][..4].copy_from_slice(&crc.to_le_bytes());
    }
    let header = &mut disk[sector_size..][..size];
    header[16..20].fill(0);
    let crc = crc32(&[header]);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
    Some(())
}
