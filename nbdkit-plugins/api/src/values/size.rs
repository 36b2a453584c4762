// SPDX-License-Identifier: BSD-3-Clause
//! [`Size`]: `512`, `64k`, `1G`, `0x100`, `3s`.

use super::{Value, number, text};
use std::ffi::OsStr;

/// A number of bytes, 0 to 2^63 - 1: a whole number in decimal, hexadecimal (`0x`), octal (`0`) or binary (`0b`), then
/// one of the suffixes b, k, M, G, T, P, E (powers of 1024, either case) or s (512-byte sectors). An underscore may
/// stand before the suffix, and must after hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Size(pub u64);

const SUFFIXES: [(char, u64); 8] = [
    ('b', 1),
    ('k', 1 << 10),
    ('m', 1 << 20),
    ('g', 1 << 30),
    ('t', 1 << 40),
    ('p', 1 << 50),
    ('e', 1 << 60),
    ('s', 512),
];

impl Value for Size {
    const KIND: &'static str = "SIZE";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let whole = text(value)?;
        let (number, negative, rest) = number::leading(whole).ok_or_else(|| {
            format!("could not parse size string: {whole}: should be a number and one of the suffixes b k M G T P E s, such as 512k")
        })?;
        if negative {
            return Err(format!("size cannot be negative: {whole}"));
        }
        let too_large = || format!("size exceeds maximum value: {whole}: should be below 8E");
        let number = number.filter(|n| i64::try_from(*n).is_ok()).ok_or_else(too_large)?;
        let suffix = rest.strip_prefix('_').unwrap_or(rest);
        let scale = match rest {
            "" => Some(1),
            _ => {
                SUFFIXES.iter().find(|(c, _)| suffix.to_lowercase() == c.to_string()).map(|(_, scale)| *scale)
            }
        };
        let scale = scale.ok_or_else(|| {
            format!(
                "could not parse size: unknown suffix: {rest} in '{whole}': should be one of b k M G T P E s, such as 512k"
            )
        })?;
        number.checked_mul(scale).filter(|size| i64::try_from(*size).is_ok()).map(Size).ok_or_else(|| {
            format!("could not parse size: size * scale overflows: {whole}: should be below 8E")
        })
    }

    fn show(&self) -> String {
        let whole = |bits: u32| self.0 != 0 && self.0 % (1 << bits) == 0;
        match [(60, "E"), (50, "P"), (40, "T"), (30, "G"), (20, "M"), (10, "K")]
            .iter()
            .find(|(bits, _)| whole(*bits))
        {
            Some((bits, suffix)) => format!("{}{suffix}", self.0 >> bits),
            None => self.0.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let size = |text: &str| Size::parse(OsStr::new(text)).map(|size| size.0);
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("1b", 1),
            ("1k", 1024),
            ("1K", 1024),
            ("64M", 64 << 20),
            ("1_M", 1 << 20),
            ("2G", 2 << 30),
            ("7E", 7 << 60),
            ("3s", 1536),
            ("010", 8),
            ("0x1E", 30),
            ("0x1_E", 1 << 60),
            ("0b11", 3),
            (" +5k", 5120),
            ("9223372036854775807", i64::MAX as u64),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, why) in [
            ("", "could not parse size string"),
            ("abc", "could not parse size string"),
            ("-1", "negative"),
            ("1MB", "unknown suffix: MB"),
            ("1MiB", "unknown suffix"),
            ("1.5M", "unknown suffix: .5M"),
            ("1_", "unknown suffix"),
            ("1 M", "unknown suffix"),
            ("8E", "overflows"),
            ("9223372036854775808", "exceeds maximum"),
            ("99999999999999999999", "exceeds maximum"),
        ] {
            assert!(size(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn shows_what_it_reads() {
        for text in ["0", "1", "64K", "3M", "1G", "5E", "1025"] {
            assert_eq!(Size::parse(OsStr::new(text)).unwrap().show(), text);
        }
    }
}
