// SPDX-License-Identifier: BSD-3-Clause
//! The values of `percent=`, `runlength=` and `blocksize=`.

use nbdkit_plugin::{Size, Value, values::text};
use std::ffi::OsStr;

/// A share, in parts per million: 0 to 1000000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Percent(pub(crate) u32);

impl Percent {
    /// All of it.
    pub(crate) const ALL: u32 = 1_000_000;

    pub(crate) const fn whole(percent: u32) -> Percent {
        Percent(percent * (Percent::ALL / 100))
    }
}

impl Value for Percent {
    const KIND: &'static str = "0..100";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let whole = text(value)?;
        let number = whole.strip_suffix('%').unwrap_or(whole).trim_end().parse::<f64>().ok();
        number
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(|percent| Percent((percent * f64::from(Percent::ALL / 100)).round() as u32))
            .ok_or_else(|| format!("cannot parse percent parameter: {whole}: should be 0 to 100"))
    }

    fn show(&self) -> String {
        (f64::from(self.0) / f64::from(Percent::ALL / 100)).to_string()
    }
}

/// In bytes, more than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunLength(pub(crate) u64);

impl Value for RunLength {
    const KIND: &'static str = "SIZE";

    fn parse(value: &OsStr) -> Result<Self, String> {
        match Size::parse(value)? {
            Size(0) => Err("runlength parameter must be > 0".to_owned()),
            Size(bytes) => Ok(RunLength(bytes)),
        }
    }

    fn show(&self) -> String {
        Size(self.0).show()
    }
}

/// In bytes: a power of 2, 1024 to 2^28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block(pub(crate) u64);

impl Value for Block {
    const KIND: &'static str = "SIZE";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let Size(bytes) = Size::parse(value)?;
        match bytes.is_power_of_two() && (1024..=1 << 28).contains(&bytes) {
            true => Ok(Block(bytes)),
            false => Err(format!("block size is {bytes}, should be a power of 2 from 1024 to 256M")),
        }
    }

    fn show(&self) -> String {
        Size(self.0).show()
    }
}
