// SPDX-License-Identifier: BSD-3-Clause
//! [`Switch`]: the value of a parameter that is on, off, or follows a file.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::Value;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// On, off, or on as long as a file exists.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Switch {
    /// No.
    #[default]
    Off,
    /// Yes.
    On,
    /// While this file exists.
    While(PathBuf),
}

impl Switch {
    /// What that comes to at this moment.
    pub fn is_on(&self) -> bool {
        match self {
            Switch::Off => false,
            Switch::On => true,
            Switch::While(file) => file.exists(),
        }
    }
}

impl Value for Switch {
    const KIND: &'static str = "BOOL|/PATH";

    fn parse(value: &OsStr) -> Result<Self, String> {
        if Path::new(value).is_absolute() {
            return Ok(Switch::While(value.into()));
        }
        match bool::parse(value) {
            Ok(true) => Ok(Switch::On),
            Ok(false) => Ok(Switch::Off),
            Err(error) => Err(format!("{error}, or the absolute path of a file")),
        }
    }

    fn show(&self) -> String {
        match self {
            Switch::Off => false.show(),
            Switch::On => true.show(),
            Switch::While(file) => file.show(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_a_boolean_takes_and_absolute_paths() {
        let parse = |text: &str| Switch::parse(OsStr::new(text));
        assert_eq!(parse("on"), Ok(Switch::On));
        assert_eq!(parse("0"), Ok(Switch::Off));
        assert_eq!(
            parse("/dev/null").map(|switch| (switch.is_on(), switch.show())),
            Ok((true, "/dev/null".into()))
        );
        for wrong in ["./file", "", "maybe"] {
            assert!(parse(wrong).unwrap_err().ends_with("or the absolute path of a file"), "{wrong}");
        }
    }
}
