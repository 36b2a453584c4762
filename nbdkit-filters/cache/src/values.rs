// SPDX-License-Identifier: BSD-3-Clause
//! What the parameters take: [`Mode`] and [`BlockBytes`].

use nbdkit_filter::{Size, Value};
use std::ffi::OsStr;

/// What becomes of writes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Mode {
    /// They are kept, and written on a flush.
    #[default]
    WriteBack,
    /// They are written at once.
    WriteThrough,
    /// They are kept, and written when there is no room any more.
    Unsafe,
}

const MODES: [(&str, Mode); 3] =
    [("writeback", Mode::WriteBack), ("writethrough", Mode::WriteThrough), ("unsafe", Mode::Unsafe)];

impl Value for Mode {
    const KIND: &'static str = "writeback|writethrough|unsafe";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let found = MODES.iter().find(|(word, _)| value == *word);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            format!(
                "invalid cache parameter, should be writeback|writethrough|unsafe, not '{}'",
                value.to_string_lossy()
            )
        })
    }

    fn show(&self) -> String {
        MODES.iter().find(|(_, mode)| mode == self).map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

/// Size of a block in bytes: a power of two, 4096 to 2^31.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockBytes(pub u64);

impl Value for BlockBytes {
    const KIND: &'static str = Size::KIND;

    fn parse(value: &OsStr) -> Result<Self, String> {
        let Size(size) = Size::parse(value)?;
        match size.is_power_of_two() && (4096..=2 << 30).contains(&size) {
            true => Ok(BlockBytes(size)),
            false => Err(format!(
                "{size} is not a power of 2, or is too small or too large, should be a power of 2, 4096 to 2G"
            )),
        }
    }

    fn show(&self) -> String {
        Size(self.0).show()
    }
}
