// SPDX-License-Identifier: BSD-3-Clause
//! The values of `stride=` and `upper=`.

use nbdkit_plugin::{Size, Value};
use std::{
    ffi::OsStr,
    hash::{BuildHasher, RandomState},
};

/// A power of two, at least 8: in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stride(pub(crate) u64);

impl Value for Stride {
    const KIND: &'static str = "SIZE";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let Size(stride) = Size::parse(value)?;
        match stride.is_power_of_two() && stride >= 8 {
            true => Ok(Stride(stride)),
            false => Err(format!("stride is {stride}, should be a power of 2 and at least 8")),
        }
    }

    fn show(&self) -> String {
        Size(self.0).show()
    }
}

/// For the upper 16 bits of every offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Upper(pub(crate) u16);

impl Value for Upper {
    const KIND: &'static str = "N|random";

    fn parse(value: &OsStr) -> Result<Self, String> {
        if value == "random" {
            // The standard library seeds its hashers from the system.
            return Ok(Upper(RandomState::new().hash_one(()) as u16));
        }
        u16::parse(value).map(Upper).map_err(|why| format!("{why}, or random"))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}
