// SPDX-License-Identifier: BSD-3-Clause
//! [`Device`]: what a block device says of itself.

use nbdkit_plugin::{BlockSize, Span};
use rustix::fs::{ioctl_blkpbszget, ioctl_blksszget, major, minor};
use std::fs::File;

/// The largest minimum block size that the protocol knows.
const LARGEST_MINIMUM: u32 = 65536;

/// A block device.
pub(crate) struct Device {
    /// Discards and zeroes are made of whole sectors. In bytes, a power of two.
    sector: u64,
    pub block: Option<BlockSize>,
    pub rotational: bool,
    /// Opening it for writing succeeds all the same.
    pub read_only: bool,
}

impl Device {
    /// `number` is the device's (`st_rdev`). What it does not say is left at a guess that is never wrong.
    pub(crate) fn of(file: &File, number: u64) -> Device {
        let logical = ioctl_blksszget(file).unwrap_or(512);
        let physical = ioctl_blkpbszget(file).unwrap_or(logical);
        let minimum = logical.min(LARGEST_MINIMUM);
        let block =
            BlockSize { minimum, preferred: physical.clamp(512.max(minimum), 32 << 20), maximum: u32::MAX };
        Device {
            sector: logical.into(),
            block: block.check().is_ok().then_some(block),
            // A partition has no queue of its own: it lies in the directory of the disk.
            rotational: says(number, "queue/rotational") || says(number, "../queue/rotational"),
            read_only: says(number, "ro"),
        }
    }

    /// The whole sectors within `span`; none if there are none.
    pub(crate) fn whole_sectors(&self, span: Span) -> Option<Span> {
        let start = span.offset.checked_next_multiple_of(self.sector)?;
        let end = span.end() - span.end() % self.sector;
        (start < end).then(|| Span::new(start, end - start))
    }
}

/// True if the system says 1 to this about the device.
fn says(number: u64, what: &str) -> bool {
    std::fs::read(format!("/sys/dev/block/{}:{}/{what}", major(number), minor(number)))
        .is_ok_and(|text| text.starts_with(b"1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_sectors_lie_within() {
        let device = Device { sector: 512, block: None, rotational: false, read_only: false };
        let whole = |offset, len| device.whole_sectors(Span::new(offset, len)).map(|s| (s.offset, s.len));
        assert_eq!(whole(0, 512), Some((0, 512)));
        assert_eq!(whole(1, 1535), Some((512, 1024)));
        assert_eq!(whole(511, 514), Some((512, 512)));
        assert_eq!(whole(0, 511), None);
        assert_eq!(whole(1, 1022), None);
    }
}
