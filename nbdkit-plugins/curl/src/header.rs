// SPDX-License-Identifier: BSD-3-Clause
//! [`Header`]: one that the user wants sent, or left out.

use nbdkit_plugin::{Value, values::text};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, COOKIE, HOST, HeaderMap, HeaderName,
    HeaderValue, RANGE, TE, TRANSFER_ENCODING, UPGRADE,
};
use std::ffi::OsStr;

/// `NAME: VALUE`, `NAME;` (empty) or `NAME:` (leave it out).
#[derive(Clone)]
pub(crate) struct Header {
    name: HeaderName,
    /// `None`: leave it out.
    value: Option<HeaderValue>,
}

/// What the plugin itself must say in these, or the bytes would not be those that were asked for.
const OURS: [HeaderName; 7] =
    [RANGE, CONTENT_RANGE, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, TE, UPGRADE];

/// What the HTTP library adds where it is missing.
const ALWAYS: [HeaderName; 2] = [ACCEPT, HOST];

impl Header {
    /// From one line. What is wrong with it, without its value, which may be a secret.
    pub(crate) fn parse_line(line: &str) -> Result<Header, String> {
        let (name, value) = match line.split_once(':') {
            Some((name, value)) => match value.trim() {
                "" => (name, None),
                value => (name, Some(value)),
            },
            None => match line.trim_end().strip_suffix(';') {
                Some(name) => (name, Some("")),
                None => {
                    return Err(
                        "a header should be NAME: VALUE, or NAME; to be empty, or NAME: to be left out"
                            .into(),
                    );
                }
            },
        };
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| format!("'{name}' is not a name for a header, should be such as X-Name"))?;
        if OURS.contains(&name) {
            return Err(format!("{name} cannot be changed, because the plugin needs it"));
        }
        if value.is_none() && ALWAYS.contains(&name) {
            return Err(format!("{name} cannot be left out, only set to something else"));
        }
        let value = value.map(HeaderValue::from_str).transpose();
        let mut value = value.map_err(|_| format!("{name} has a control character in its value"))?;
        if let Some(value) = &mut value {
            value.set_sensitive(true);
        }
        Ok(Header { name, value })
    }

    /// As for the user: not for other hosts, to which a server may redirect.
    fn is_private(&self) -> bool {
        [AUTHORIZATION, COOKIE, HOST].contains(&self.name)
    }

    /// Puts `headers` into `map`, in place of what has the same names there. `trusted`: the request goes where the
    /// user said, and not to where that redirects.
    pub(crate) fn apply(headers: &[Header], map: &mut HeaderMap, trusted: bool) {
        let headers = || headers.iter().filter(|header| trusted || !header.is_private());
        for header in headers() {
            map.remove(&header.name);
        }
        for header in headers() {
            if let Some(value) = &header.value {
                map.append(&header.name, value.clone());
            }
        }
    }
}

impl Value for Header {
    const KIND: &'static str = "HEADER";
    const SECRET: bool = true;

    fn parse(value: &OsStr) -> Result<Self, String> {
        Header::parse_line(text(value)?)
    }

    fn show(&self) -> String {
        format!("{}: ***", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(lines: &[&str], trusted: bool) -> Vec<String> {
        let headers: Vec<_> = lines.iter().map(|line| Header::parse_line(line).unwrap()).collect();
        let mut map = HeaderMap::new();
        map.insert("user-agent", HeaderValue::from_static("ours"));
        Header::apply(&headers, &mut map, trusted);
        map.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn three_forms() {
        assert_eq!(apply(&["X-Name: John Doe"], true), ["user-agent=ours", "x-name=John Doe"]);
        assert_eq!(apply(&["X-Empty;"], true), ["user-agent=ours", "x-empty="]);
        assert_eq!(apply(&["User-Agent:"], true), Vec::<String>::new());
        assert_eq!(apply(&["user-agent: mine", "X: 1", "X: 2"], true), ["user-agent=mine", "x=1", "x=2"]);
    }

    #[test]
    fn what_is_private_stays_with_the_first_host() {
        let lines = ["Authorization: Bearer x", "Cookie: a=b", "Host: y", "X-Other: 1"];
        assert_eq!(apply(&lines, true).len(), 5);
        assert_eq!(apply(&lines, false), ["user-agent=ours", "x-other=1"]);
    }

    #[test]
    fn refusals_do_not_tell_the_value() {
        for line in ["hunter2", "bad name: hunter2", "X: hunter2\r\nY: z", "Range: hunter2", ": hunter2"] {
            let why = Header::parse_line(line).err().unwrap();
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert!(Header::parse_line("Accept:").err().unwrap().contains("cannot be left out"));
        assert!(Header::parse_line("Range: bytes=0-").err().unwrap().contains("cannot be changed"));
    }
}
