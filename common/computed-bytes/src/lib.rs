// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod split_mix;

pub use split_mix::SplitMix64;

use nbdkit_plugin::{EIO, Error, Op, Result, Span};

/// Which byte is at which offset.
pub trait Computed {
    /// Fills `buf` with what is at `offset`.
    fn fill(&self, buf: &mut [u8], offset: u64);

    /// Compares `data` to what is at `offset`.
    ///
    /// # Errors
    /// `EIO` when they differ; names the first byte that does.
    fn compare(&self, data: &[u8], mut offset: u64) -> Result<()> {
        let mut want = [0; PIECE];
        for piece in data.chunks(PIECE) {
            let want = &mut want[..piece.len()];
            self.fill(want, offset);
            if let Some(odd) = piece.iter().zip(&*want).position(|(byte, want)| byte != want) {
                return Err(mismatch(offset + odd as u64, piece[odd], want[odd]));
            }
            offset += PIECE as u64;
        }
        Ok(())
    }

    /// Compares zeroes to what is in `span`, which fails within the first few bytes that are not zero, however long it is.
    ///
    /// # Errors
    /// As [`compare`](Computed::compare).
    fn compare_zeroes(&self, span: Span) -> Result<()> {
        (span.offset..span.end()).step_by(PIECE).try_for_each(|at| {
            let len = (span.end() - at).min(PIECE as u64);
            self.compare(&[0; PIECE][..len as usize], at)
        })
    }
}

/// What is compared at once, in bytes.
const PIECE: usize = 4096;
/// More bytes than this take longer than a hop to another thread, and other requests should not wait for them.
const HOP: usize = 1 << 20;

fn mismatch(at: u64, byte: u8, want: u8) -> Error {
    let what = "data written does not match expected";
    Error::new(EIO, format!("{what}: the byte at offset {at} is {byte:#04x}, should be {want:#04x}"))
}

/// Fills `buf` with what is at `offset`, where `word(n)` are the bytes from 8n to 8n + 7.
pub fn fill_words(buf: &mut [u8], offset: u64, word: impl Fn(u64) -> [u8; 8]) {
    let (mut number, inside) = (offset / 8, (offset % 8) as usize);
    let (head, rest) = buf.split_at_mut(((8 - inside) % 8).min(buf.len()));
    head.copy_from_slice(&word(number)[inside..][..head.len()]);
    number += u64::from(inside > 0);
    let mut words = rest.chunks_exact_mut(8);
    for bytes in &mut words {
        bytes.copy_from_slice(&word(number));
        number += 1;
    }
    let tail = words.into_remainder();
    tail.copy_from_slice(&word(number)[..tail.len()]);
}

/// Runs `work` on `len` bytes: here, or on another thread if they are many.
pub fn run<T: Send + 'static>(
    len: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Op<'static, T> {
    if len <= HOP { Op::now(work) } else { Op::blocking(work) }
}

#[cfg(test)]
mod tests;
