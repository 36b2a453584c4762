// SPDX-License-Identifier: BSD-3-Clause
//! Files of pre-shared keys, as `psktool` of GnuTLS writes them: a line `USERNAME:HEXKEY` for each user.

use crate::{Error, ErrorKind, error};
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};
use zeroize::Zeroizing;

/// The largest file: tens of thousands of users.
const LARGEST: u64 = 4 << 20;
/// What OpenSSL takes, in bytes.
const LONGEST_KEY: usize = 256;

/// A key, wiped when done.
pub(crate) type Key = Zeroizing<Vec<u8>>;

/// A file of keys, read.
pub(crate) struct Keys {
    text: Zeroizing<Vec<u8>>,
    mode: u32,
}

impl Keys {
    /// # Errors
    /// The file cannot be read, or is too large.
    pub fn read(path: &Path) -> Result<Keys, Error> {
        // Room is made beforehand: a vector that grows leaves copies behind.
        let load = || -> io::Result<Keys> {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            let mut text = Zeroizing::new(Vec::with_capacity(metadata.len().min(LARGEST) as usize + 1));
            file.take(LARGEST + 1).read_to_end(&mut text)?;
            Ok(Keys { text, mode: metadata.mode() })
        };
        let keys = load().map_err(|failure| error::file(path, &failure).within(ErrorKind::Unreadable))?;
        match keys.text.len() as u64 > LARGEST {
            true => Err(malformed(path, format_args!("larger than {} MiB", LARGEST >> 20))),
            false => Ok(keys),
        }
    }

    /// What the operator should know.
    pub fn warning(&self, path: &Path) -> Option<String> {
        (self.mode & 0o004 != 0)
            .then(|| format!("{}: everybody may read these keys: chmod o-r", path.display()))
    }

    /// # Errors
    /// A line that is no user and key, or no line at all.
    pub fn check(&self, path: &Path) -> Result<(), Error> {
        let mut users = 0;
        for (number, line) in self.lines() {
            let (_, key) = split(line).ok_or_else(|| bad_line(path, number))?;
            decode(key).ok_or_else(|| bad_line(path, number))?;
            users += 1;
        }
        match users {
            0 => Err(malformed(path, "no user; should have lines USERNAME:HEXKEY")),
            _ => Ok(()),
        }
    }

    /// The key of this user.
    ///
    /// # Errors
    /// The line of the user has no usable key.
    pub fn find(&self, path: &Path, user: &[u8]) -> Result<Option<Key>, Error> {
        let mut lines = self.lines().filter_map(|(number, line)| Some((number, split(line)?)));
        match lines.find(|(_, (name, _))| is(name, user)) {
            None => Ok(None),
            Some((number, (_, key))) => decode(key).map(Some).ok_or_else(|| bad_line(path, number)),
        }
    }

    /// Lines that are not blank, with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let lines = self.text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        (1..).zip(lines).filter(|(_, line)| !line.is_empty())
    }
}

/// The last colon separates: a key has none.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().rposition(|byte| *byte == b':')?;
    let (name, key) = (line.get(..colon)?, line.get(colon + 1..)?);
    (!name.is_empty() && !key.is_empty()).then_some((name, key))
}

/// A name that begins with `#` is written in hexadecimal, as GnuTLS has it.
fn is(name: &[u8], user: &[u8]) -> bool {
    match name.split_first() {
        Some((b'#', digits)) => decode(digits).is_some_and(|name| *name == user) || name == user,
        _ => name == user,
    }
}

/// Bytes in hexadecimal. No tables and no branches on digits that are right, so that time tells little about a key.
fn decode(digits: &[u8]) -> Option<Key> {
    if digits.is_empty() || digits.len() % 2 != 0 || digits.len() / 2 > LONGEST_KEY {
        return None;
    }
    let mut key = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    let mut wrong = 0u8;
    for two in digits.chunks_exact(2) {
        let mut byte = 0u8;
        for digit in two {
            let (decimal, letter) = (digit.wrapping_sub(b'0'), (digit | 0x20).wrapping_sub(b'a'));
            let (is_decimal, is_letter) = (u8::from(decimal < 10), u8::from(letter < 6));
            wrong |= 1 - (is_decimal | is_letter);
            byte = byte << 4
                | (decimal & is_decimal.wrapping_neg())
                | (letter.wrapping_add(10) & is_letter.wrapping_neg());
        }
        key.push(byte);
    }
    (wrong == 0).then_some(key)
}

/// The line itself is not shown: it may hold a key.
fn bad_line(path: &Path, number: usize) -> Error {
    malformed(path, format_args!("line {number} should be USERNAME:HEXKEY"))
}

fn malformed(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Keys {
        Keys { text: Zeroizing::new(text.as_bytes().to_vec()), mode: 0o600 }
    }

    fn find(text: &str, user: &str) -> Result<Option<Vec<u8>>, String> {
        let found = keys(text).find(Path::new("F"), user.as_bytes());
        found.map(|key| key.map(|key| key.to_vec())).map_err(|error| error.to_string())
    }

    #[test]
    fn users_are_found() {
        let text = "alice:0001feFF\r\n\n  bob:aa\na:b:cc\n#6d61782d:dd\nlast:09";
        assert_eq!(find(text, "alice"), Ok(Some(vec![0, 1, 0xfe, 0xff])));
        assert_eq!(find(text, "bob"), Ok(Some(vec![0xaa])));
        assert_eq!(find(text, "a:b"), Ok(Some(vec![0xcc])));
        assert_eq!(find(text, "max-"), Ok(Some(vec![0xdd])));
        assert_eq!(find(text, "last"), Ok(Some(vec![9])));
        for nobody in ["", "ali", "alice:0001feFF", "Alice", "a"] {
            assert_eq!(find(text, nobody), Ok(None), "{nobody}");
        }
        keys(text).check(Path::new("F")).unwrap();
    }

    #[test]
    fn bad_lines_are_counted_and_never_shown() {
        let long = format!("x:{}", "00".repeat(LONGEST_KEY + 1));
        for line in ["x:secre", "x:", ":aa", "x", "x:abc", "x:0g", long.as_str()] {
            let error = keys(&format!("a:aa\n\n{line}\n")).check(Path::new("F")).unwrap_err();
            assert_eq!(error.to_string(), "F: line 3 should be USERNAME:HEXKEY", "{line}");
        }
        // A user is not hurt by the line of another.
        assert_eq!(find("x:zz\na:aa", "a"), Ok(Some(vec![0xaa])));
        assert_eq!(find("a:aa\nx:zz", "x"), Err("F: line 2 should be USERNAME:HEXKEY".into()));
        let empty = keys("\n \n").check(Path::new("F")).unwrap_err();
        assert_eq!(empty.to_string(), "F: no user; should have lines USERNAME:HEXKEY");
    }

    #[test]
    fn every_digit() {
        for byte in 0..=255u8 {
            assert_eq!(*decode(format!("{byte:02x}").as_bytes()).unwrap(), [byte]);
            assert_eq!(*decode(format!("{byte:02X}").as_bytes()).unwrap(), [byte]);
            let digit = byte.is_ascii_hexdigit();
            assert_eq!(decode(&[b'0', byte]).is_some(), digit, "{byte}");
        }
    }
}
