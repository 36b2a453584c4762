// SPDX-License-Identifier: BSD-3-Clause
//! [`fuzz`]: any text must be refused or laid out, in bounded time and memory.

use crate::{evaluate::evaluate, fill::fill, outside::Nothing, parse::parse};
use nbdkit_plugin::Result;
use nbdkit_ram_image::Image;
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// Lays out the expression that is up to the first NUL; those up to the following are the variables `$a`, `$b` and so on.
/// No files, no scripts, and at most a megabyte.
///
/// # Errors
/// What is wrong with it.
pub fn fuzz(input: &[u8]) -> Result<()> {
    let texts: Vec<&[u8]> = input.split(|byte| *byte == 0).collect();
    let variables = |name: &str| -> Option<OsString> {
        let [letter @ b'a'..=b'z'] = name.as_bytes() else { return None };
        let text = texts.get(usize::from(letter - b'a') + 1)?;
        Some(OsStr::from_bytes(text).to_owned())
    };
    let text = texts.first().copied().unwrap_or_default();
    let rope = evaluate(&parse(text, &variables)?, &mut Nothing)?;
    fill(&Image::default(), &rope, 1 << 20)
}
