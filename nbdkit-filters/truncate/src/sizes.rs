// SPDX-License-Identifier: BSD-3-Clause
//! [`PowerOfTwo`]: what sizes are rounded to.

use nbdkit_filter::{Size, Value};
use std::{ffi::OsStr, fmt};

/// In bytes, 1 to 2^62.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct PowerOfTwo(u64);

impl PowerOfTwo {
    /// `None` if that is beyond 2^63 - 1, the largest disk there is.
    pub(crate) fn round_up(self, size: u64) -> Option<u64> {
        size.checked_next_multiple_of(self.0).filter(|size| i64::try_from(*size).is_ok())
    }

    pub(crate) fn round_down(self, size: u64) -> u64 {
        size & !(self.0 - 1)
    }
}

impl Value for PowerOfTwo {
    const KIND: &'static str = Size::KIND;

    fn parse(value: &OsStr) -> Result<Self, String> {
        let Size(size) = Size::parse(value)?;
        match size.is_power_of_two() {
            true => Ok(PowerOfTwo(size)),
            false => Err(format!("{size} must be a power of 2, such as 512 or 4k")),
        }
    }

    fn show(&self) -> String {
        Size(self.0).show()
    }
}

impl fmt::Display for PowerOfTwo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
