// SPDX-License-Identifier: BSD-3-Clause
//! Random operations against the model. The same seed gives the same operations.

use super::{Check, trial::Trial};
use crate::Flags;

/// Xorshift: small, quick, and the same everywhere.
#[derive(Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// 0 to `limit - 1`; `limit` is not 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True once in `times`.
    pub(super) fn chance(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// None of them is zero, so that they differ from zeroed and trimmed ones.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() as u8).max(1)).collect()
    }

    /// A length up to `most`: small ones are as likely as large ones.
    fn len(&mut self, most: u64) -> u64 {
        let scale = [16, 600, 5000, 70_000, most][self.below(5) as usize].min(most);
        1 + self.below(scale)
    }

    /// A place in `0..end`, often on a border of something.
    fn place(&mut self, end: u64) -> u64 {
        let unit = [1, 1, 512, 4096, 32768][self.below(5) as usize];
        self.below(end) / unit * unit
    }
}

/// `count` random operations of all the kinds that the disk does.
pub(super) fn run(trial: &mut Trial, count: u32) -> Check {
    if trial.windows.is_empty() {
        return Ok(());
    }
    for number in 0..count {
        operation(trial).map_err(|report| format!("random operation {number}: {report}"))?;
    }
    trial.review().map_err(|report| format!("after {count} random operations: {report}"))
}

/// One.
pub(super) fn operation(trial: &mut Trial) -> Check {
    let info = trial.probe.info().clone();
    let number = trial.random.below(trial.windows.len() as u64) as usize;
    let window = trial.windows[number].span();
    let start = window.offset + trial.random.place(window.len);
    let end = start + trial.random.len(window.len);
    let Some(span) = trial.fit(number, start, end) else { return Ok(()) };
    let fua = trial.fua() && trial.random.chance(4);
    let flags = Flags { fua, ..Flags::default() };
    match trial.random.below(8) {
        0 | 1 if info.write => trial.write(span, flags),
        2 | 3 if trial.zeroes() => {
            let fast_zero = info.fast_zero && trial.random.chance(3);
            let may_trim = trial.random.chance(2);
            trial.zero(span, Flags { may_trim, fast_zero, ..flags })
        }
        4 if info.trim => trial.trim(span, flags),
        5 if info.extents => {
            let req_one = trial.random.chance(3);
            trial.extents(span, Flags { req_one, ..Flags::default() }).map(drop)
        }
        6 if info.flush && trial.random.chance(8) => trial.flush(),
        6 if trial.caches() => trial.cache(span),
        _ => trial.read(span),
    }
}
