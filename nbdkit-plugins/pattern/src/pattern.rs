// SPDX-License-Identifier: BSD-3-Clause
//! [`Pattern`]: which byte is at which offset.

use nbdkit_plugin::{EIO, Error, Result};

/// Every multiple of `stride` begins with its own offset, as a big-endian number of 64 bits whose upper 16 bits are
/// combined with `upper`. All else is zero.
#[derive(Clone, Copy)]
pub(crate) struct Pattern {
    /// In bytes: a power of two, at least 8.
    pub(crate) stride: u64,
    pub(crate) upper: u16,
}

/// What is compared at once, in bytes.
const PIECE: usize = 4096;

impl Pattern {
    /// The 8 bytes at `offset`, which is a multiple of 8.
    fn word(self, offset: u64) -> [u8; 8] {
        match offset & (self.stride - 1) {
            0 => (offset ^ u64::from(self.upper) << 48).to_be_bytes(),
            _ => [0; 8],
        }
    }

    /// Fills `buf` with what is at `offset`.
    pub(crate) fn fill(self, buf: &mut [u8], offset: u64) {
        let inside = (offset % 8) as usize;
        let (head, rest) = buf.split_at_mut(((8 - inside) % 8).min(buf.len()));
        head.copy_from_slice(&self.word(offset - offset % 8)[inside..][..head.len()]);
        let mut at = offset + head.len() as u64;
        let mut words = rest.chunks_exact_mut(8);
        for word in &mut words {
            word.copy_from_slice(&self.word(at));
            at += 8;
        }
        let tail = words.into_remainder();
        tail.copy_from_slice(&self.word(at)[..tail.len()]);
    }

    /// Compares `data` to what is at `offset`.
    ///
    /// # Errors
    /// `EIO` when they differ; names the first byte that does.
    pub(crate) fn compare(self, data: &[u8], mut offset: u64) -> Result<()> {
        let mut want = [0; PIECE];
        for piece in data.chunks(PIECE) {
            let want = &mut want[..piece.len()];
            self.fill(want, offset);
            if let Some(odd) = piece.iter().zip(&*want).position(|(byte, want)| byte != want) {
                let (at, byte, want) = (offset + odd as u64, piece[odd], want[odd]);
                return Err(Error::new(
                    EIO,
                    format!(
                        "data written does not match expected: the byte at offset {at} is {byte:#04x}, should be {want:#04x}"
                    ),
                ));
            }
            offset += PIECE as u64;
        }
        Ok(())
    }
}
