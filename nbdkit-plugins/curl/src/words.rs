// SPDX-License-Identifier: BSD-3-Clause
//! Kinds of values that only this plugin has.

use nbdkit_plugin::{
    Value,
    values::{one_of, text},
};
use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
};

/// The URL as typed. Not shown under `-v`: it may have a password or a signature in it.
#[derive(Clone, Default)]
pub(crate) struct UrlText(pub String);

impl Value for UrlText {
    const KIND: &'static str = "URL";
    const SECRET: bool = true;

    fn parse(value: &OsStr) -> Result<Self, String> {
        text(value).map(|url| UrlText(url.to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A proxy as typed; may have a password in it. Empty: no proxy.
#[derive(Clone)]
pub(crate) struct ProxyUrl(pub String);

impl Value for ProxyUrl {
    const KIND: &'static str = "URL";
    const SECRET: bool = true;

    fn parse(value: &OsStr) -> Result<Self, String> {
        text(value).map(|url| ProxyUrl(url.to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A path, made absolute, or nothing at all.
#[derive(Clone)]
pub(crate) struct MaybePath(Option<PathBuf>);

impl MaybePath {
    pub(crate) fn get(&self) -> Option<&Path> {
        self.0.as_deref()
    }
}

impl Value for MaybePath {
    const KIND: &'static str = "[PATH]";

    fn parse(value: &OsStr) -> Result<Self, String> {
        match value.is_empty() {
            true => Ok(MaybePath(None)),
            false => PathBuf::parse(value).map(|path| MaybePath(Some(path))),
        }
    }

    fn show(&self) -> String {
        self.0.as_ref().map(Value::show).unwrap_or_default()
    }
}

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum HttpVersion {
    /// HTTP/2 where TLS negotiates it, else HTTP/1.1.
    Any,
    Http10,
    Http11,
    /// HTTP/2 without asking, also without TLS.
    Http2,
}

impl Value for HttpVersion {
    const KIND: &'static str = "none|1.0|1.1|2.0|2TLS|2-prior-knowledge";

    fn parse(value: &OsStr) -> Result<Self, String> {
        use HttpVersion::*;
        if ["3", "3only"].iter().any(|version| value == OsStr::new(version)) {
            return Err(
                "HTTP/3 is not available, should be none, 1.0, 1.1, 2.0, 2TLS or 2-prior-knowledge".into()
            );
        }
        let words = [
            ("none", Any),
            ("1.0", Http10),
            ("1.1", Http11),
            ("2.0", Any),
            ("2TLS", Any),
            ("2-prior-knowledge", Http2),
        ];
        one_of(value, &words)
    }

    fn show(&self) -> String {
        let word = match self {
            HttpVersion::Any => "none",
            HttpVersion::Http10 => "1.0",
            HttpVersion::Http11 => "1.1",
            HttpVersion::Http2 => "2-prior-knowledge",
        };
        word.to_owned()
    }
}

/// Which protocols may be used, of the two that there are here.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Protocols {
    http: bool,
    https: bool,
}

/// What can be listed. All but the first two are allowed in vain.
const PROTOCOLS: [&str; 29] = [
    "http", "https", "dict", "file", "ftp", "ftps", "gopher", "imap", "imaps", "ldap", "ldaps", "mqtt",
    "pop3", "pop3s", "rtmp", "rtmpe", "rtmps", "rtmpt", "rtmpte", "rtmpts", "rtsp", "scp", "sftp", "smb",
    "smbs", "smtp", "smtps", "telnet", "tftp",
];

impl Protocols {
    pub(crate) fn allow(self, scheme: &str) -> bool {
        match scheme {
            "http" => self.http,
            "https" => self.https,
            _ => false,
        }
    }
}

impl Default for Protocols {
    fn default() -> Self {
        Protocols { http: true, https: true }
    }
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.http, self.https) {
            (true, true) => "http,https",
            (true, false) => "http",
            (false, true) => "https",
            (false, false) => "none of http and https",
        })
    }
}

impl Value for Protocols {
    const KIND: &'static str = "PROTO,PROTO,...";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let names: Vec<&str> = text(value)?.split(',').collect();
        if let Some(unknown) = names.iter().find(|name| !PROTOCOLS.contains(name)) {
            let known = PROTOCOLS.join(", ");
            return Err(format!("protocol name not found: {unknown}, should be of {known}"));
        }
        Ok(Protocols { http: names.contains(&"http"), https: names.contains(&"https") })
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A parameter of other implementations whose meaning cannot be had here: any value is refused.
pub(crate) enum Unavailable {}

impl Value for Unavailable {
    const KIND: &'static str = "PATH";

    fn parse(_: &OsStr) -> Result<Self, String> {
        Err("there is one list of trusted certificates for the server and an HTTPS proxy: use cainfo= or capath= with those of both"
            .into())
    }

    fn show(&self) -> String {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_known_by_name() {
        let parse = |text: &str| Protocols::parse(text.as_ref());
        assert_eq!(parse("http,https").unwrap(), Protocols::default());
        let https = parse("ftp,https").unwrap();
        assert!(https.allow("https") && !https.allow("http") && !https.allow("ftp"));
        for text in ["bogus", "", "http,", "HTTP"] {
            assert!(parse(text).unwrap_err().starts_with("protocol name not found: "), "{text}");
        }
    }

    #[test]
    fn versions() {
        for version in ["none", "1.0", "1.1", "2-prior-knowledge"] {
            assert_eq!(HttpVersion::parse(version.as_ref()).unwrap().show(), version);
        }
        assert!(HttpVersion::parse("3".as_ref()).unwrap_err().contains("HTTP/3 is not available"));
        assert!(HttpVersion::parse("9".as_ref()).is_err());
    }
}
