// SPDX-License-Identifier: BSD-3-Clause
//! What a parameter takes: [`Step`].

use nbdkit_filter::{Size, Value};
use std::ffi::OsStr;

/// How many bytes are prefetched at once: a power of two, 512 to 32 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step(pub u64);

impl Value for Step {
    const KIND: &'static str = Size::KIND;

    fn parse(value: &OsStr) -> Result<Self, String> {
        let Size(size) = Size::parse(value)?;
        match size.is_power_of_two() && (512..=32 << 20).contains(&size) {
            true => Ok(Step(size)),
            false => Err(format!("parameter should be [512..32M] and a power of two, not {size}")),
        }
    }

    fn show(&self) -> String {
        Size(self.0).show()
    }
}
