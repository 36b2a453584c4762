// SPDX-License-Identifier: BSD-3-Clause
//! Text and paths.

use super::{Value, text};
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

impl Value for String {
    const KIND: &'static str = "TEXT";

    fn parse(value: &OsStr) -> Result<Self, String> {
        text(value).map(str::to_owned)
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for OsString {
    const KIND: &'static str = "TEXT";

    fn parse(value: &OsStr) -> Result<Self, String> {
        Ok(value.to_owned())
    }

    fn show(&self) -> String {
        self.to_string_lossy().into_owned()
    }
}

/// Made absolute when read, because the server leaves the user's directory later.
impl Value for PathBuf {
    const KIND: &'static str = "PATH";

    fn parse(value: &OsStr) -> Result<Self, String> {
        std::path::absolute(value).map_err(|error| match value.is_empty() {
            true => "the path is empty".to_owned(),
            false => format!("{}: {error}", value.to_string_lossy()),
        })
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}
