// SPDX-License-Identifier: BSD-3-Clause
//! [`Mode`]: what becomes of forced unit access.

use nbdkit_filter::{Info, Support, Value, values};
use std::ffi::OsStr;

/// What becomes of forced unit access.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Mode {
    None,
    Emulate,
    Native,
    Force,
    Pass,
    Discard,
}

const MODES: [(&str, Mode); 6] = [
    ("none", Mode::None),
    ("emulate", Mode::Emulate),
    ("native", Mode::Native),
    ("force", Mode::Force),
    ("pass", Mode::Pass),
    ("discard", Mode::Discard),
];

impl Value for Mode {
    const KIND: &'static str = "none|emulate|native|force|pass|discard";

    fn parse(value: &OsStr) -> Result<Self, String> {
        values::one_of(value, &MODES)
    }

    fn show(&self) -> String {
        MODES.iter().find(|(_, mode)| mode == self).map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

impl Mode {
    /// Changes what clients are told.
    pub(crate) fn show_in(self, info: &mut Info) {
        info.flush |= matches!(self, Mode::Force | Mode::Discard);
        if !info.write {
            return;
        }
        info.fua = match self {
            Mode::None => Support::None,
            Mode::Emulate => Support::Emulate,
            Mode::Native | Mode::Force | Mode::Discard => Support::Native,
            Mode::Pass => info.fua,
        };
    }
}
