// SPDX-License-Identifier: BSD-3-Clause
//! Passwords: the value itself, `-` to ask, `-FD` or `+FILE` to read one.

use super::Value;
use nbdkit_secret::Secret;
use std::ffi::OsStr;

impl Value for Secret {
    const KIND: &'static str = "PASSWORD|-|-FD|+FILE";
    const SECRET: bool = true;

    fn parse(value: &OsStr) -> Result<Self, String> {
        Secret::from_argument(value)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
