// SPDX-License-Identifier: BSD-3-Clause
//! Whole numbers, as C programmers write them: `42`, `0x2a`, `052`, `0b101010`.

use super::{Value, text};
use std::ffi::OsStr;

/// Splits off the number at the start: its magnitude (`None` if it does not fit), whether it is negative, and what
/// follows it. No number: `None`.
pub(super) fn leading(text: &str) -> Option<(Option<u64>, bool, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let prefixed = |prefixes: [&str; 2], radix| {
        let digits = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix))?;
        digits.starts_with(|c: char| c.is_digit(radix)).then_some((digits, radix))
    };
    let (digits, radix) = prefixed(["0x", "0X"], 16)
        .or_else(|| prefixed(["0b", "0B"], 2))
        .unwrap_or((text, if text.starts_with('0') { 8 } else { 10 }));
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    Some((u64::from_str_radix(&digits[..end], radix).ok(), negative, &digits[end..]))
}

fn parse(value: &OsStr, least: i128, most: i128) -> Result<i128, String> {
    let whole = text(value)?;
    let (magnitude, negative, rest) = leading(whole).ok_or_else(|| {
        format!("could not parse number: \"{whole}\": empty string where we expected a number")
    })?;
    if !rest.is_empty() {
        return Err(format!("could not parse number: \"{whole}\": trailing garbage"));
    }
    let number = magnitude.map(|n| if negative { -i128::from(n) } else { n.into() });
    match number {
        Some(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!(
            "could not parse number: \"{whole}\": Numerical result out of range, should be {least} to {most}"
        )),
    }
}

macro_rules! numbers {
    ($($Number:ty),*) => { $(
        impl Value for $Number {
            const KIND: &'static str = "N";

            fn parse(value: &OsStr) -> Result<Self, String> {
                let number = parse(value, <$Number>::MIN.into(), <$Number>::MAX.into())?;
                // `parse` has checked the range.
                Ok(number as $Number)
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )* };
}

numbers!(u8, u16, u32, u64, i32, i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_in_c() {
        let int = |text: &str| <i32 as Value>::parse(OsStr::new(text));
        for (text, number) in [
            ("42", 42),
            (" +7", 7),
            ("-3", -3),
            ("0x2a", 42),
            ("052", 42),
            ("0b11", 3),
            ("0", 0),
            ("-0x80000000", i32::MIN),
        ] {
            assert_eq!(int(text), Ok(number), "{text}");
        }
        for text in ["", " ", "abc", "1x", "08", "0x", "2147483648", "--1", "99999999999999999999"] {
            assert!(int(text).is_err(), "{text}");
        }
        assert!(<u32 as Value>::parse(OsStr::new("-1")).unwrap_err().contains("0 to 4294967295"));
    }
}
