// SPDX-License-Identifier: BSD-3-Clause
//! Quoting for the shell.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// `text` as one word of a POSIX shell: as it is if nothing in it means anything to a shell, else in double quotes.
pub fn shell_quote(text: &OsStr) -> OsString {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_=,:/".contains(byte);
    if text.as_bytes().iter().all(plain) {
        return text.to_owned();
    }
    let mut quoted = vec![b'"'];
    for byte in text.as_bytes() {
        if b"$`\\\"".contains(byte) {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (text, quoted) in [
            ("", ""),
            ("Az09.-_=,:/", "Az09.-_=,:/"),
            ("a b", "\"a b\""),
            ("nbd+unix://?socket=/x", "\"nbd+unix://?socket=/x\""),
            ("$`\\\"'", "\"\\$\\`\\\\\\\"'\""),
            ("~", "\"~\""),
            ("a\nb", "\"a\nb\""),
        ] {
            assert_eq!(shell_quote(text.as_ref()), quoted, "{text}");
        }
    }

    #[test]
    fn a_shell_reads_back_every_byte() {
        let all: Vec<u8> = (1..=255).collect();
        let mut script = b"printf %s ".to_vec();
        script.extend(shell_quote(OsStr::from_bytes(&all)).into_vec());
        let output = std::process::Command::new("/bin/sh").arg("-c").arg(OsString::from_vec(script)).output();
        assert_eq!(output.unwrap().stdout, all);
    }
}
