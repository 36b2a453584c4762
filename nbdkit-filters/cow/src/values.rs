// SPDX-License-Identifier: BSD-3-Clause
//! What a parameter takes: [`Granule`].

use nbdkit_filter::{Size, Value};
use std::ffi::OsStr;

/// The unit of copying, in bytes: a power of two, 4096 to 2^31.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granule(pub u64);

impl Value for Granule {
    const KIND: &'static str = Size::KIND;

    fn parse(value: &OsStr) -> Result<Self, String> {
        let Size(size) = Size::parse(value)?;
        match size.is_power_of_two() && (4096..=2 << 30).contains(&size) {
            true => Ok(Granule(size)),
            false => Err(format!("{size} is out of range (4096..2G) or not a power of 2")),
        }
    }

    fn show(&self) -> String {
        Size(self.0).show()
    }
}
