// SPDX-License-Identifier: BSD-3-Clause
//! [`Mode`]: the values of `mode=`.

use nbdkit_plugin::{Value, values::text};
use std::ffi::OsStr;

/// What the disk says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    ExportName,
    Base64ExportName,
    Address,
    Time,
    UpTime,
    ConnTime,
    Version,
}

const MODES: [(&str, Mode); 7] = [
    ("exportname", Mode::ExportName),
    ("base64exportname", Mode::Base64ExportName),
    ("address", Mode::Address),
    ("time", Mode::Time),
    ("uptime", Mode::UpTime),
    ("conntime", Mode::ConnTime),
    ("version", Mode::Version),
];

impl Mode {
    /// All who open the same export read the same.
    pub(crate) fn is_of_export(self) -> bool {
        matches!(self, Mode::ExportName | Mode::Base64ExportName)
    }
}

impl Value for Mode {
    const KIND: &'static str = "exportname|base64exportname|address|time|uptime|conntime|version";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let value = text(value)?;
        let found = MODES.iter().find(|(name, _)| *name == value);
        found
            .map(|(_, mode)| *mode)
            .ok_or_else(|| format!("unknown mode: '{value}', should be {}", Self::KIND.replace('|', ", ")))
    }

    fn show(&self) -> String {
        MODES.iter().find(|(_, mode)| mode == self).map_or("", |(name, _)| name).to_owned()
    }
}
