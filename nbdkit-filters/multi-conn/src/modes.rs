// SPDX-License-Identifier: BSD-3-Clause
//! What the parameters take: [`Mode`] and [`Track`].

use nbdkit_filter::{Info, ThreadModel, Value, values};
use std::ffi::OsStr;

/// Who sees to it that a flush on one connection is one on all.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Mode {
    Auto,
    Emulate,
    Plugin,
    Disable,
    Unsafe,
}

const MODES: [(&str, Mode); 5] = [
    ("auto", Mode::Auto),
    ("emulate", Mode::Emulate),
    ("plugin", Mode::Plugin),
    ("disable", Mode::Disable),
    ("unsafe", Mode::Unsafe),
];

impl Mode {
    /// What `auto` comes to in front of a disk like `behind`.
    pub(crate) fn resolve(self, behind: &Info, model: ThreadModel) -> Mode {
        match self {
            Mode::Auto if model == ThreadModel::SerializeConnections => Mode::Disable,
            Mode::Auto if behind.multi_conn => Mode::Plugin,
            Mode::Auto => Mode::Emulate,
            mode => mode,
        }
    }
}

impl Value for Mode {
    const KIND: &'static str = "auto|emulate|plugin|disable|unsafe";

    fn parse(value: &OsStr) -> Result<Self, String> {
        values::one_of(value, &MODES)
    }

    fn show(&self) -> String {
        MODES.iter().find(|(_, mode)| mode == self).map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

/// Which flushes are left out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Track {
    Connection,
    Fast,
    Off,
}

const LEVELS: [(&str, Track); 4] = [
    ("connection", Track::Connection),
    ("conn", Track::Connection),
    ("fast", Track::Fast),
    ("off", Track::Off),
];

impl Value for Track {
    const KIND: &'static str = "connection|fast|off";

    fn parse(value: &OsStr) -> Result<Self, String> {
        values::one_of(value, &LEVELS)
    }

    fn show(&self) -> String {
        LEVELS
            .iter()
            .find(|(_, track)| track == self)
            .map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}
