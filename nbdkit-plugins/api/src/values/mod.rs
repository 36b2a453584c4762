// SPDX-License-Identifier: BSD-3-Clause
//! [`Value`]: what can be written behind `key=` on the command line, and the kinds that many components share.

mod boolean;
mod delay;
mod number;
mod probability;
mod secret;
mod size;
mod text;

pub use probability::Probability;
pub use size::Size;

use std::ffi::OsStr;

/// A value that can be written on the command line. Values are bytes; most kinds want UTF-8, paths do not.
pub trait Value: Sized {
    /// How help and manual name this kind: `SIZE`, `BOOL`, `sparse|malloc`.
    const KIND: &'static str;

    /// The value must not be shown to anybody, not even under `-v`.
    const SECRET: bool = false;

    /// # Errors
    /// One line that names the value and what would be right. The caller puts the key in front.
    fn parse(value: &OsStr) -> Result<Self, String>;

    /// Back to what a person would write: the default in help and manual.
    fn show(&self) -> String;
}

/// The value as text.
///
/// # Errors
/// When it is not UTF-8.
pub fn text(value: &OsStr) -> Result<&str, String> {
    value.to_str().ok_or_else(|| format!("{value:?} is not UTF-8"))
}

/// One of a few words, each with its meaning.
///
/// # Errors
/// Lists the words that would have been right.
pub fn one_of<T: Copy>(value: &OsStr, words: &[(&str, T)]) -> Result<T, String> {
    let value = text(value)?;
    words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("unknown value '{value}', should be {}", words.join(", "))
    })
}
