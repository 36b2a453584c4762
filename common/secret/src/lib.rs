// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)] // but in `descriptor`

mod descriptor;
mod terminal;

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::ffi::OsStrExt,
    path::Path,
};
use zeroize::Zeroizing;

/// The longest password, in bytes.
const LONGEST: u64 = 64 << 10;

/// A password. Its `Debug` and its `Display` are stars.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// From a value on the command line; may ask on the terminal.
    ///
    /// # Errors
    /// One line that says what cannot be read, and never what has been.
    pub fn from_argument(value: &OsStr) -> Result<Secret, String> {
        match value.as_bytes() {
            b"-" => terminal::ask("password: ")
                .map_err(|error| format!("cannot ask for a password on the terminal: {error}")),
            [b'-', number @ ..] => {
                let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
                let number = number.filter(|number: &i32| *number > 2).ok_or(
                    "a password that begins with '-' should be '-' (ask) or '-FD' with a descriptor above 2; put others in a file and say '+FILE'",
                )?;
                let file =
                    descriptor::take(number).map_err(|error| format!("descriptor {number}: {error}"))?;
                first_line(file).map_err(|error| format!("descriptor {number}: {error}"))
            }
            [b'+', path @ ..] => {
                let path = Path::new(OsStr::from_bytes(path));
                File::open(path).and_then(first_line).map_err(|error| format!("{}: {error}", path.display()))
            }
            literal => Ok(Secret(Zeroizing::new(literal.to_vec()))),
        }
    }

    /// The bytes, which are not to be kept elsewhere.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Without the newline. Room is made beforehand: a vector that grows leaves copies behind.
fn first_line(file: File) -> io::Result<Secret> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
    BufReader::with_capacity(1, file).take(LONGEST).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(Secret(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::fd::IntoRawFd};

    fn read(value: &str) -> Result<Vec<u8>, String> {
        Secret::from_argument(value.as_ref()).map(|secret| secret.expose().to_vec())
    }

    #[test]
    fn four_ways() {
        assert_eq!(read("secret").unwrap(), b"secret");
        assert_eq!(read("").unwrap(), b"");
        let path = std::env::temp_dir().join(format!("nbdkit-secret-{}", std::process::id()));
        for (content, password) in [("a b\nc\n", "a b"), ("x", "x"), ("", ""), ("\n", "")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(&format!("+{}", path.display())).unwrap(), password.as_bytes());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read(&format!("+{}", path.display())).unwrap_err().contains("No such file"));
    }

    #[test]
    fn a_descriptor_is_read_once_and_closed() {
        let (input, mut output) = io::pipe().unwrap();
        output.write_all(b"from a pipe\nmore").unwrap();
        let number = input.into_raw_fd();
        assert_eq!(read(&format!("-{number}")).unwrap(), b"from a pipe");
        assert!(read(&format!("-{number}")).unwrap_err().starts_with(&format!("descriptor {number}: ")));
        for value in ["-0", "-2", "-x", "--", "-99999999999"] {
            assert!(read(value).unwrap_err().contains("above 2"), "{value}");
        }
    }

    #[test]
    fn never_shown() {
        let secret = Secret::from_argument("hunter2".as_ref()).unwrap();
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "*** *** ***");
    }
}
