// SPDX-License-Identifier: BSD-3-Clause
//! What the parameters take: [`Granule`] and [`OnRead`].

use nbdkit_filter::{Size, Value};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

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

/// Whether what is read is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OnRead {
    /// No.
    Never,
    /// Yes.
    Always,
    /// While this file exists.
    While(PathBuf),
}

impl OnRead {
    /// What that comes to at this moment.
    pub(crate) fn now(&self) -> bool {
        match self {
            OnRead::Never => false,
            OnRead::Always => true,
            OnRead::While(file) => file.exists(),
        }
    }
}

impl Value for OnRead {
    const KIND: &'static str = "BOOL|/PATH";

    fn parse(value: &OsStr) -> Result<Self, String> {
        if Path::new(value).is_absolute() {
            return Ok(OnRead::While(value.into()));
        }
        match bool::parse(value) {
            Ok(true) => Ok(OnRead::Always),
            Ok(false) => Ok(OnRead::Never),
            Err(error) => Err(format!("{error}, or the absolute path of a file")),
        }
    }

    fn show(&self) -> String {
        match self {
            OnRead::Never => false.show(),
            OnRead::Always => true.show(),
            OnRead::While(file) => file.show(),
        }
    }
}
