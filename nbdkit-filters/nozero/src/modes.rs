// SPDX-License-Identifier: BSD-3-Clause
//! What the parameters take: [`Mode`] and [`FastMode`].

use nbdkit_filter::{Value, values};
use std::ffi::OsStr;

/// What becomes of zeroing.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Mode {
    None,
    Emulate,
    NoTrim,
    Plugin,
}

const MODES: [(&str, Mode); 4] =
    [("none", Mode::None), ("emulate", Mode::Emulate), ("notrim", Mode::NoTrim), ("plugin", Mode::Plugin)];

impl Value for Mode {
    const KIND: &'static str = "none|emulate|notrim|plugin";

    fn parse(value: &OsStr) -> Result<Self, String> {
        values::one_of(value, &MODES)
    }

    fn show(&self) -> String {
        word(&MODES, self)
    }
}

/// What becomes of fast zeroing.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum FastMode {
    Default,
    None,
    Slow,
    Ignore,
}

const FAST_MODES: [(&str, FastMode); 4] = [
    ("default", FastMode::Default),
    ("none", FastMode::None),
    ("slow", FastMode::Slow),
    ("ignore", FastMode::Ignore),
];

impl Value for FastMode {
    const KIND: &'static str = "default|none|slow|ignore";

    fn parse(value: &OsStr) -> Result<Self, String> {
        values::one_of(value, &FAST_MODES)
    }

    fn show(&self) -> String {
        word(&FAST_MODES, self)
    }
}

fn word<T: PartialEq>(words: &[(&str, T)], mode: &T) -> String {
    words.iter().find(|(_, m)| m == mode).map_or_else(String::new, |(word, _)| (*word).to_owned())
}
