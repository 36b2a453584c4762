// SPDX-License-Identifier: BSD-3-Clause
//! [`Rate`]: what the parameters take.

use nbdkit_filter::{Size, Value};
use std::{ffi::OsStr, num::NonZeroU64};

/// Bits a second: a number, perhaps with a suffix (k, M, G ..., powers of 1024).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate(pub NonZeroU64);

impl Value for Rate {
    const KIND: &'static str = "BITS";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let Size(bits) = Size::parse(value)?;
        NonZeroU64::new(bits).map(Rate).ok_or_else(|| {
            "rate cannot be set to 0: should be in bits a second, such as 10M, or left out for no limit"
                .to_owned()
        })
    }

    fn show(&self) -> String {
        Size(self.0.get()).show()
    }
}
