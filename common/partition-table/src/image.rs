// SPDX-License-Identifier: BSD-3-Clause
//! The same for a disk that is in memory.

use crate::{Error, Partition, Scan, ScanStep, Search, Step, Table};

/// Finds partition `number` (from 1) of a disk image with sectors of 512 or 4096 bytes.
///
/// # Errors
///
/// Those of [`Search`].
pub fn find(image: &[u8], sector_size: u32, number: u32) -> Result<Partition, Error> {
    let mut search = Search::new(image.len() as u64, sector_size, number)?;
    let mut step = search.step(None)?;
    loop {
        match step {
            Step::Read { offset, len } => step = search.step(part(image, offset, len))?,
            Step::Found(partition) => return Ok(partition),
        }
    }
}

/// Reads the whole partition table of a disk image with sectors of 512 or 4096 bytes.
///
/// # Errors
///
/// Those of [`Scan`].
pub fn list(image: &[u8], sector_size: u32) -> Result<Table, Error> {
    let mut scan = Scan::new(image.len() as u64, sector_size)?;
    let mut step = scan.step(None)?;
    loop {
        match step {
            ScanStep::Read { offset, len } => step = scan.step(part(image, offset, len))?,
            ScanStep::Done(table) => return Ok(table),
        }
    }
}

/// The bytes that were asked for. They are always there; if not, the next step fails.
fn part(image: &[u8], offset: u64, len: usize) -> Option<&[u8]> {
    image.get(usize::try_from(offset).ok()?..)?.get(..len)
}
