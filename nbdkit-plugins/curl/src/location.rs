// SPDX-License-Identifier: BSD-3-Clause
//! URLs: as users type them, as they may be shown, and where secrets may go along.

use crate::words::Protocols;
use nbdkit_plugin::{Error, Result};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use std::fmt;

/// A URL without its user and password, and those.
pub(crate) struct Location {
    pub(crate) url: Url,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
}

impl Location {
    /// Without a scheme it is HTTP.
    pub(crate) fn parse(typed: &str) -> Result<Location> {
        let has_scheme = typed.split_once("://").is_some_and(|(scheme, _)| {
            !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        let whole = if has_scheme { typed.to_owned() } else { format!("http://{typed}") };
        let mut url = Url::parse(&whole).map_err(|error| {
            Error::invalid(format!("url: {error}: should be such as https://example.com/disk.img"))
        })?;
        supported(&url)?;
        let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let user = Some(url.username()).filter(|user| !user.is_empty());
        let user = user.map(|user| String::from_utf8_lossy(&decode(user)).into_owned());
        let password = url.password().map(decode);
        // Cannot fail: an http URL has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok(Location { url, user, password })
    }
}

/// Whether this plugin speaks the protocol at all.
fn supported(url: &Url) -> Result<()> {
    let instead = match url.scheme() {
        "http" | "https" => return Ok(()),
        "file" => ": use the file plugin",
        "scp" | "sftp" => ": use the ssh plugin",
        _ => "",
    };
    let scheme = url.scheme();
    Err(Error::invalid(format!("url: Protocol \"{scheme}\" not supported, should be http or https{instead}")))
}

/// Whether the user allows the protocol of `url`.
///
/// # Errors
/// Names what is allowed.
pub(crate) fn allowed(url: &Url, protocols: Protocols) -> Result<()> {
    match protocols.allow(url.scheme()) {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "{}: Protocol \"{}\" not supported or disabled, should be {protocols}",
            shown(url),
            url.scheme(),
        ))),
    }
}

/// The URL for people: without a query, which may be a signature.
pub(crate) fn shown(url: &Url) -> impl fmt::Display {
    struct Shown<'a>(&'a Url);
    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let query = if self.0.query().is_some() { "?..." } else { "" };
            write!(f, "{}{}{query}", self.0.origin().ascii_serialization(), self.0.path())
        }
    }
    Shown(url)
}

/// Whether passwords for one may go to the other.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_users_type_them() {
        for (typed, url) in [
            ("http://example.com/disk.img", "http://example.com/disk.img"),
            ("example.com:8080/x?y=http://z", "http://example.com:8080/x?y=http://z"),
            ("localhost/x", "http://localhost/x"),
            ("https://me:p%40ss@h/x#top", "https://h/x"),
        ] {
            assert_eq!(Location::parse(typed).unwrap().url.as_str(), url);
        }
        let location = Location::parse("https://me:p%40ss@h/x").unwrap();
        assert_eq!(
            (location.user.as_deref(), location.password.as_deref()),
            (Some("me"), Some(&b"p@ss"[..]))
        );
        for (typed, why) in [
            ("ftp://h/x", "Protocol \"ftp\" not supported"),
            ("sftp://h/x", "use the ssh plugin"),
            ("file:///x", "use the file plugin"),
            ("http://", "empty host"),
            ("", "empty host"),
        ] {
            assert!(Location::parse(typed).err().unwrap().to_string().contains(why), "{typed}");
        }
    }

    #[test]
    fn shown_without_secrets() {
        let url = Url::parse("https://me:secret@h:1/x?X-Signature=secret#secret").unwrap();
        assert_eq!(shown(&url).to_string(), "https://h:1/x?...");
    }

    #[test]
    fn origins() {
        let same = |a, b| same_origin(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(same("https://h/a", "https://h:443/b"));
        assert!(!same("https://h/", "http://h/"));
        assert!(!same("http://h/", "http://h:81/"));
        assert!(!same("http://h/", "http://h.evil/"));
    }
}
