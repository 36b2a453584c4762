// SPDX-License-Identifier: BSD-3-Clause
//! Yes or no.

use super::{Value, text};
use std::ffi::OsStr;

impl Value for bool {
    const KIND: &'static str = "BOOL";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let value = text(value)?;
        match value.to_ascii_lowercase().as_str() {
            "1" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
            "0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
            _ => Err(format!("could not decipher boolean ({value}), should be true or false")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
