// SPDX-License-Identifier: BSD-3-Clause
//! From a rope to an image, within the memory that there is.

use crate::rope::Rope;
use nbdkit_plugin::{ENOMEM, Error, Result};
use nbdkit_ram_image::{Image, PAGE_SIZE};

const PAGE: u64 = PAGE_SIZE as u64;

/// Stores what is no hole. Whether that fits into `memory` bytes is known before anything is.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn fill(image: &Image, rope: &Rope, memory: u64) -> Result<()> {
    let most = usize::try_from(memory / PAGE).unwrap_or(usize::MAX);
    if pages(rope).nth(most).is_some() {
        return Err(no_memory("data parameter: the data"));
    }
    let mut page = vec![0; PAGE_SIZE];
    for start in pages(rope) {
        // A page has PAGE_SIZE bytes, or fewer at the end.
        let piece = &mut page[..(rope.len() - start).min(PAGE) as usize];
        rope.read(start, piece);
        image.write(piece, start)?;
    }
    Ok(())
}

/// Where the pages start that are not all hole.
pub(crate) fn pages(rope: &Rope) -> impl Iterator<Item = u64> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let data = rope.data(next, rope.len())?;
        let start = data - data % PAGE;
        next = start + PAGE;
        Some(start)
    })
}

/// `what` is too large.
pub(crate) fn no_memory(what: &str) -> Error {
    Error::new(ENOMEM, format!("{what} does not fit into the memory that is available, should be less"))
}

/// Bytes of memory that may be taken before others suffer, as Linux estimates it; where nobody does, no limit but the
/// allocator's.
pub(crate) fn available_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map_or(u64::MAX, |kib| kib.saturating_mul(1024))
}
