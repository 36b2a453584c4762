// SPDX-License-Identifier: BSD-3-Clause
//! What a script that fails has to say: perhaps an errno, perhaps a message, on the first line of standard error.

use libc::{EDQUOT, ENOTSUP};
use nbdkit_plugin::*;

/// The words that a message may begin with, in either case.
const ERRNOS: [(&str, i32); 12] = [
    ("EPERM", EPERM),
    ("EIO", EIO),
    ("ENOMEM", ENOMEM),
    ("EINVAL", EINVAL),
    ("ENOSPC", ENOSPC),
    ("EOVERFLOW", EOVERFLOW),
    ("ESHUTDOWN", ESHUTDOWN),
    ("ENOTSUP", ENOTSUP),
    ("EOPNOTSUPP", EOPNOTSUPP),
    ("EROFS", EROFS),
    ("EDQUOT", EDQUOT),
    ("EFBIG", EFBIG),
];

/// The error that `program` reports with these `errors`; `errno` unless it names one itself.
pub(crate) fn reported(program: &impl std::fmt::Display, errors: &[u8], errno: i32) -> Error {
    let text = String::from_utf8_lossy(errors);
    let (named, rest) = errno_word(&text);
    let message = rest.trim_ascii_start().lines().next().unwrap_or_default();
    let message = match text.trim_ascii().is_empty() {
        true => "script exited with error, but did not print an error message on stderr",
        false => message,
    };
    let colon = if message.is_empty() { "" } else { ": " };
    Error::new(named.unwrap_or(errno), format!("{program}{colon}{message}"))
}

/// Splits off the errno at the beginning, if there is one that stands alone.
fn errno_word(text: &str) -> (Option<i32>, &str) {
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    match ERRNOS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) {
        Some((_, errno)) => (Some(*errno), rest),
        None => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_the_errno_then_the_message() {
        const NOTHING: &str = "s: script exited with error, but did not print an error message on stderr";
        for (text, errno, message) in [
            ("ENOSPC Out of space\nmore\n", ENOSPC, "s: Out of space"),
            ("enospc\tx y \n", ENOSPC, "s: x y "),
            ("EdQuot", EDQUOT, "s"),
            ("ENOTSUP\n", EOPNOTSUPP, "s"),
            ("EROFS\n\n why", EROFS, "s: why"),
            ("EINVALID what", 5, "s: EINVALID what"),
            ("ENOENT what", 5, "s: ENOENT what"),
            ("EINVAL: what", 5, "s: EINVAL: what"),
            (" EINVAL", 5, "s: EINVAL"),
            ("plain\r\nsecond", 5, "s: plain"),
            ("", 5, NOTHING),
            (" \n\n", 5, NOTHING),
        ] {
            let error = reported(&"s", text.as_bytes(), 5);
            assert_eq!((error.errno(), error.to_string().as_str()), (errno, message), "{text:?}");
        }
        for (name, errno) in ERRNOS {
            assert_eq!(reported(&"s", name.to_lowercase().as_bytes(), 1).errno(), errno);
        }
        assert_eq!(reported(&"s", b"\xff\xfe", ESHUTDOWN).errno(), ESHUTDOWN);
    }
}
