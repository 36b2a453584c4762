// SPDX-License-Identifier: BSD-3-Clause
//! What the parameters take: [`Name`], [`List`] and [`Describe`].

use nbdkit_filter::{Value, values};
use std::ffi::OsStr;

/// The longest string of the protocol, in bytes (NBD specification, "Values").
pub(crate) const LONGEST: usize = 4096;

fn short_enough(text: &str) -> Result<String, String> {
    match text.len() {
        0..=LONGEST => Ok(text.to_owned()),
        len => Err(format!("{len} bytes are too many, should be at most {LONGEST}")),
    }
}

/// The name of an export.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Name(pub(crate) String);

impl Value for Name {
    const KIND: &'static str = "NAME";

    fn parse(value: &OsStr) -> Result<Self, String> {
        values::text(value).and_then(short_enough).map(Name)
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Which exports are listed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum List {
    Keep,
    Error,
    Empty,
    DefaultOnly,
    Explicit,
}

const LISTS: [(&str, List); 6] = [
    ("keep", List::Keep),
    ("error", List::Error),
    ("empty", List::Empty),
    ("defaultonly", List::DefaultOnly),
    ("default-only", List::DefaultOnly),
    ("explicit", List::Explicit),
];

impl Value for List {
    const KIND: &'static str = "keep|error|empty|defaultonly|explicit";

    fn parse(value: &OsStr) -> Result<Self, String> {
        values::one_of(value, &LISTS)
    }

    fn show(&self) -> String {
        LISTS.iter().find(|(_, list)| list == self).map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

/// How exports are described.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Describe {
    Keep,
    Not,
    Fixed(String),
    Script(String),
}

impl Value for Describe {
    const KIND: &'static str = "keep|none|fixed:TEXT|script:COMMAND";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let value = values::text(value)?;
        match value.split_once(':') {
            None if value == "keep" => Ok(Describe::Keep),
            None if value == "none" => Ok(Describe::Not),
            Some(("fixed", text)) => short_enough(text).map(Describe::Fixed),
            Some(("script", command)) => Ok(Describe::Script(command.to_owned())),
            _ => Err(format!("unknown value '{value}', should be keep, none, fixed:TEXT or script:COMMAND")),
        }
    }

    fn show(&self) -> String {
        match self {
            Describe::Keep => "keep".to_owned(),
            Describe::Not => "none".to_owned(),
            Describe::Fixed(text) => format!("fixed:{text}"),
            Describe::Script(command) => format!("script:{command}"),
        }
    }
}
