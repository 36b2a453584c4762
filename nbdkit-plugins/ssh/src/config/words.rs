// SPDX-License-Identifier: BSD-3-Clause
//! A line of ssh_config(5), taken apart.

/// The option and its values; nothing for an empty line or a comment. The first value may stand behind `=`, values
/// with spaces in double quotes. `None` if a quote is not closed.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Some(Vec::new());
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (option, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let mut rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let mut words = vec![option.to_owned()];
    while !rest.is_empty() && !rest.starts_with('#') {
        let word;
        (word, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = rest.trim_start();
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        for (line, expected) in [
            ("", &[][..]),
            ("  # Host a", &[]),
            ("Host a b", &["Host", "a", "b"]),
            ("\tPort=22", &["Port", "22"]),
            ("Port = 22 # as usual", &["Port", "22"]),
            ("IdentityFile \"~/my keys/id\"", &["IdentityFile", "~/my keys/id"]),
            ("IdentityFile=\"\"", &["IdentityFile", ""]),
            ("User a#b", &["User", "a#b"]),
            ("User", &["User"]),
            ("User =", &["User"]),
            ("=x", &["", "x"]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        assert_eq!(words("User \"a"), None);
    }

    proptest! {
        #[test]
        fn what_was_quoted_comes_back(values in prop::collection::vec("[^\"\n\r]{1,9}", 1..5)) {
            let line = format!("Option {}", values.iter().map(|v| format!("\"{v}\"")).collect::<Vec<_>>().join(" "));
            prop_assert_eq!(&words(&line).unwrap()[1..], values);
        }
    }
}
