// SPDX-License-Identifier: BSD-3-Clause
//! What stands behind the plugin on the command line: `key=value`, or a value alone.

use super::nearest::nearest;
use crate::components::Description;
use nbdkit_plugin::{Error, Result};
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// The key and the value that `word` stands for. A value alone is for the `magic` key of the plugin; without one, the
/// `first` word may be a script.
///
/// # Errors
/// When it has no key and there is none to assume.
pub fn pair<'a>(word: &'a OsStr, first: bool, magic: Option<&'a str>) -> Result<(&'a str, &'a OsStr)> {
    if let Some(pair) = split(word) {
        return Ok(pair);
    }
    match magic {
        Some(key) => Ok((key, word)),
        None if first => Ok(("script", word)),
        None => Err(Error::invalid(expecting(word))),
    }
}

/// Splits at the first `=`, if what is before it is a key: a letter, then letters, digits, dots, hyphens and
/// underscores.
fn split(word: &OsStr) -> Option<(&str, &OsStr)> {
    let bytes = word.as_bytes();
    let (key, value) = bytes.split_at(bytes.iter().position(|byte| *byte == b'=')?);
    let may_follow = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    if !key.first()?.is_ascii_alphabetic() || !key.iter().all(may_follow) {
        return None;
    }
    // ASCII is UTF-8, and the value begins with the `=`.
    Some((str::from_utf8(key).ok()?, OsStr::from_bytes(value.get(1..)?)))
}

fn expecting(word: &OsStr) -> String {
    format!("expecting key=value on the command line but got: {}", word.to_string_lossy())
}

/// Nobody has a parameter `key`, which `word` stands for. `components` are those who were asked, the plugin last.
pub fn unknown(key: &str, word: &OsStr, components: &[Description]) -> Error {
    let keys =
        components.iter().flat_map(|component| &component.params).flat_map(|param| param.keys).copied();
    let assumed = split(word).is_none();
    let why = match nearest(key, keys) {
        _ if assumed => format!(": {}", expecting(word)),
        Some(other) => format!(", did you mean '{other}'?"),
        None => String::new(),
    };
    Error::invalid(format!("unknown parameter '{key}'{why}\n{}", hint(components)))
}

/// The plugin, last of `components`, has no parameters at all.
pub fn unwanted(word: &OsStr, components: &[Description]) -> Error {
    let name = components.last().map_or("", |plugin| plugin.name);
    let word = word.to_string_lossy();
    let line = format!("{name}: this plugin does not need command line configuration: {word}");
    Error::invalid(format!("{line}\n{}", hint(components)))
}

/// How to see the parameters there are.
fn hint(components: &[Description]) -> String {
    let names: Vec<String> = components.iter().map(Description::on_the_command_line).collect();
    format!("Try using: nbdkit --help {}", names.join(" "))
}

/// Replaces every `@FILE` in `words` by the lines of that file.
///
/// # Errors
/// See [`parameter_file::read`](super::parameter_file::read).
pub fn expand(words: &[OsString]) -> Result<Vec<OsString>> {
    let mut expanded = Vec::new();
    for word in words {
        match super::parameter_file::named_by(word) {
            Some(file) => expanded.extend(super::parameter_file::read(file)?),
            None => expanded.push(word.clone()),
        }
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::components;

    #[test]
    fn keys_and_values() {
        for (word, key, value) in [
            ("size=1M", "size", "1M"),
            ("a=", "a", ""),
            ("a=b=c", "a", "b=c"),
            ("A.b-c_9=x", "A.b-c_9", "x"),
            ("error-pread-rate=1%", "error-pread-rate", "1%"),
        ] {
            assert_eq!(pair(word.as_ref(), false, Some("magic")).unwrap(), (key, value.as_ref()));
        }
        let bytes = OsStr::from_bytes(b"k=\xff");
        assert_eq!(pair(bytes, false, None).unwrap(), ("k", OsStr::from_bytes(b"\xff")));
    }

    #[test]
    fn values_alone() {
        for word in ["", "x", "=5", "5=6", "é=6", "a b=c", "_a=b", "-=b", "a\n=b", "http://x/?a=b"] {
            let word = word.as_ref();
            assert_eq!(pair(word, false, Some("magic")).unwrap(), ("magic", word));
            assert_eq!(pair(word, true, Some("magic")).unwrap(), ("magic", word));
            assert_eq!(pair(word, true, None).unwrap(), ("script", word));
            let error = pair(word, false, None).unwrap_err().to_string();
            assert_eq!(error, format!("expecting key=value on the command line but got: {}", word.display()));
        }
    }

    #[test]
    fn parameters_that_nobody_wants() {
        let known = components("disk", &["outer", "inner"]).describe();
        for (word, key, line) in [
            ("siez=1", "siez", "unknown parameter 'siez', did you mean 'size'?"),
            ("sizes=1", "sizes", "unknown parameter 'sizes', did you mean 'size'?"),
            ("counter=1", "counter", "unknown parameter 'counter', did you mean 'count'?"),
            ("peice=1", "peice", "unknown parameter 'peice', did you mean 'piece'?"),
            ("pieces=1", "pieces", "unknown parameter 'pieces', did you mean 'piece'?"),
            ("x", "script", "unknown parameter 'script': expecting key=value on the command line but got: x"),
        ] {
            let hint = "Try using: nbdkit --help --filter=outer --filter=inner disk";
            assert_eq!(unknown(key, word.as_ref(), &known).to_string(), format!("{line}\n{hint}"));
        }
        let none = components("zero", &[]).describe();
        assert_eq!(
            unwanted("a=1".as_ref(), &none).to_string(),
            "zero: this plugin does not need command line configuration: a=1\nTry using: nbdkit --help zero"
        );
    }
}
