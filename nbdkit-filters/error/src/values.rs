// SPDX-License-Identifier: BSD-3-Clause
//! What the parameters take: [`Errno`] and [`Rate`].

use nbdkit_filter::{EINVAL, EIO, ENOMEM, ENOSPC, EPERM, ESHUTDOWN, Probability, Value, values::text};
use std::{ffi::OsStr, fmt};

/// An error that NBD can carry to the client (NBD specification, "Error values").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(i32);

const NAMES: [(&str, i32); 6] = [
    ("EPERM", EPERM),
    ("EIO", EIO),
    ("ENOMEM", ENOMEM),
    ("EINVAL", EINVAL),
    ("ENOSPC", ENOSPC),
    ("ESHUTDOWN", ESHUTDOWN),
];

impl Errno {
    /// Input/output error.
    pub const EIO: Errno = Errno(EIO);

    /// As the system numbers it.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, number)| *number == self.0).map_or("?", |(name, _)| name);
        f.write_str(name)
    }
}

impl Value for Errno {
    const KIND: &'static str = "EPERM|EIO|ENOMEM|EINVAL|ENOSPC|ESHUTDOWN";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let value = text(value)?;
        let number = NAMES.iter().find(|(name, _)| *name == value).map(|(_, number)| Errno(*number));
        number.ok_or_else(|| format!("unknown error name '{value}', should be one of {}", Self::KIND))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// How often, 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate(pub f64);

impl Rate {
    /// 0.
    pub const NEVER: Rate = Rate(0.0);
}

impl Value for Rate {
    const KIND: &'static str = Probability::KIND;

    fn parse(value: &OsStr) -> Result<Self, String> {
        let Probability(rate) = Probability::parse(value)?;
        match rate <= 1.0 {
            true => Ok(Rate(rate)),
            false => Err(format!(
                "rate out of range: '{}' parsed as {rate}, should be 0 to 1 or 0% to 100%",
                value.to_string_lossy()
            )),
        }
    }

    fn show(&self) -> String {
        Probability(self.0).show()
    }
}
