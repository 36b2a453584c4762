// SPDX-License-Identifier: BSD-3-Clause
//! [`Text`]: a place in a text, and what can be read there without knowing the grammar: blanks, numbers, strings.

use nbdkit_plugin::{Error, Result};

pub(crate) struct Text<'a> {
    /// How errors call it.
    title: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Text<'a> {
    pub(crate) fn new(title: &'a str, bytes: &'a [u8]) -> Text<'a> {
        Text { title, bytes, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What is wrong here.
    pub(crate) fn error<T>(&self, why: &str) -> Result<T> {
        self.error_at(self.at, why)
    }

    pub(crate) fn error_at<T>(&self, at: usize, why: &str) -> Result<T> {
        Err(Error::invalid(format!("{}: parsing error at offset {at}: {why}", self.title)))
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Goes past `what` if that stands here.
    pub(crate) fn eat(&mut self, what: &[u8]) -> bool {
        let here = self.rest().starts_with(what);
        if here {
            self.at += what.len();
        }
        here
    }

    /// Goes past all bytes that are `wanted`, and returns them.
    pub(crate) fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Goes past white space and comments.
    pub(crate) fn skip_blanks(&mut self) {
        self.take(is_blank);
        while self.peek() == Some(b'#') {
            self.take(|byte| byte != b'\n');
            self.take(is_blank);
        }
    }

    /// A whole number as in C: decimal, `0x`, `0b`, or octal after `0`; up to `most`.
    pub(crate) fn number(&mut self, most: u64, what: &str) -> Result<u64> {
        let start = self.at;
        let number = self.digits(what)?;
        if self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return self.error("a number goes on with what is no digit");
        }
        match number.filter(|number| *number <= most) {
            Some(number) => Ok(number),
            None => self.error_at(start, &format!("{what} must be in the range 0..{most}")),
        }
    }

    /// A number of bytes: as [`number`](Text::number), and a decimal one may have one of the suffixes b, k, M, G, T, P,
    /// E (powers of 1024) or s (512).
    pub(crate) fn size(&mut self, what: &str) -> Result<u64> {
        let start = self.at;
        let scale = match self.rest() {
            [b'0', b'0'..=b'9' | b'x' | b'X' | b'b' | b'B', ..] => None,
            rest => match rest.iter().find(|byte| !byte.is_ascii_digit()) {
                Some(b'b' | b'B') => Some(1),
                Some(b's' | b'S') => Some(512),
                Some(b'k' | b'K') => Some(1 << 10),
                Some(b'm' | b'M') => Some(1 << 20),
                Some(b'g' | b'G') => Some(1 << 30),
                Some(b't' | b'T') => Some(1 << 40),
                Some(b'p' | b'P') => Some(1 << 50),
                Some(b'e' | b'E') => Some(1 << 60),
                _ => None,
            },
        };
        let Some(scale) = scale else { return self.number(MOST, what) };
        let number = self.digits(what)?;
        self.at += 1;
        if self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            return self.error("a number has one suffix, of b k M G T P E s");
        }
        match number.and_then(|number: u64| number.checked_mul(scale)).filter(|bytes| *bytes <= MOST) {
            Some(bytes) => Ok(bytes),
            None => self.error_at(start, &format!("{what} must be below 8E")),
        }
    }

    /// `None` if it does not fit.
    fn digits(&mut self, what: &str) -> Result<Option<u64>> {
        let (skip, radix) = match self.rest() {
            [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (2, 16),
            [b'0', b'b' | b'B', b'0' | b'1', ..] => (2, 2),
            [b'0', ..] => (0, 8),
            _ => (0, 10),
        };
        self.at += skip;
        let digits = self.take(|byte| char::from(byte).is_digit(radix));
        match std::str::from_utf8(digits) {
            Ok("") | Err(_) => self.error(&format!("expected {what}")),
            Ok(digits) => Ok(u64::from_str_radix(digits, radix).ok()),
        }
    }

    /// What is between two quotes, the first of which stands here.
    pub(crate) fn string(&mut self) -> Result<Vec<u8>> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let byte = match self.rest() {
                [] | [b'\\'] => return self.error_at(start, "unterminated string"),
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(bytes);
                }
                [b'\\', b'x', ..] => self.hexadecimal()?,
                [b'\\', b'0'..=b'9' | b'u', ..] => {
                    return self.error(
                        "string numeric and unicode sequences are not part of the language, use \\xHH",
                    );
                }
                [b'\\', letter, ..] => {
                    self.at += 1;
                    match letter {
                        b'a' => 7,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'v' => 11,
                        other => *other,
                    }
                }
                [byte, ..] => *byte,
            };
            bytes.push(byte);
            self.at += 1;
        }
    }

    /// `\xHH`: its value, and the text is then at the last digit.
    fn hexadecimal(&mut self) -> Result<u8> {
        let digit = |at: usize| char::from(*self.rest().get(at)?).to_digit(16);
        match digit(2).zip(digit(3)) {
            Some((high, low)) => {
                self.at += 3;
                Ok((high * 16 + low) as u8)
            }
            None => self.error("\\xNN must be followed by exactly two hexadecimal characters"),
        }
    }
}

/// The largest offset, length or count.
pub(crate) const MOST: u64 = i64::MAX as u64;

/// White space as C has it.
pub(crate) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 11
}
