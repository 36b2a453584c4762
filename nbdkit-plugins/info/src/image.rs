// SPDX-License-Identifier: BSD-3-Clause
//! [`Image`]: the bytes of the disk.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) enum Image {
    /// Always these bytes.
    Fixed(Vec<u8>),
    /// How long it is since 1970, at each read.
    Time,
    /// How long it is since then, at each read.
    Since(Instant),
}

impl Image {
    /// In bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Image::Fixed(bytes) => bytes.len() as u64,
            Image::Time | Image::Since(_) => encode(Duration::ZERO).len() as u64,
        }
    }

    /// Fills `buf` with what is at `offset`, all of which is within the image.
    pub(crate) fn read(&self, buf: &mut [u8], offset: usize) {
        let now;
        let bytes = match self {
            Image::Fixed(bytes) => &bytes[..],
            Image::Time => {
                // A clock that is set to before 1970 shows that time.
                now = encode(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
                &now
            }
            Image::Since(start) => {
                now = encode(start.elapsed());
                &now
            }
        };
        buf.copy_from_slice(&bytes[offset..][..buf.len()]);
    }
}

/// Seconds and microseconds, big-endian, in 64 and 32 bits.
pub(crate) fn encode(time: Duration) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&time.as_secs().to_be_bytes());
    bytes[8..].copy_from_slice(&time.subsec_micros().to_be_bytes());
    bytes
}
