// SPDX-License-Identifier: BSD-3-Clause
//! The NBD URI at which a client on this host finds the server.
//! (NBD URI specification: <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md>)

use super::shell_quote;
use std::{ffi::OsStr, fmt::Write, os::unix::ffi::OsStrExt, path::Path};

/// What of the server a URI speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// Where it listens.
    pub place: Place<'a>,
    /// Which export is meant; empty: the default one.
    pub export: &'a OsStr,
    /// Set if clients must encrypt.
    pub tls: Option<Credentials<'a>>,
}

/// Where a client finds the server.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// At this Unix domain socket.
    Unix(&'a Path),
    /// On this host, at this port if it was named.
    Tcp(Option<&'a str>),
    /// At the loopback address of AF_VSOCK, at this port if it was named.
    Vsock(Option<&'a str>),
}

/// What a client needs to encrypt.
#[derive(Clone, Copy, Debug)]
pub enum Credentials<'a> {
    /// Certificates that it finds itself.
    Default,
    /// Certificates from this directory.
    Certificates(&'a Path),
    /// Keys from this file.
    PskFile(&'a Path),
}

/// The text of `uri`.
pub fn uri(uri: &Uri) -> String {
    let mut text = String::from(match uri.tls {
        None => "nbd",
        Some(_) => "nbds",
    });
    let (kind, port) = match uri.place {
        Place::Unix(_) => ("+unix://", None),
        Place::Tcp(port) => ("://localhost", port),
        Place::Vsock(port) => ("+vsock://1", port),
    };
    text.push_str(kind);
    if let Some(port) = port {
        text.push(':');
        escape(&mut text, port.as_ref());
    }
    if !uri.export.is_empty() {
        text.push('/');
        escape(&mut text, uri.export);
    }
    let mut separator = '?';
    let mut query = |key: &str, path: &Path| {
        text.push(separator);
        text.push_str(key);
        escape(&mut text, path.as_os_str());
        separator = '&';
    };
    if let Place::Unix(path) = uri.place {
        query("socket=", path);
    }
    match uri.tls {
        Some(Credentials::Certificates(directory)) => query("tls-certificates=", directory),
        Some(Credentials::PskFile(file)) => query("tls-psk-file=", file),
        Some(Credentials::Default) | None => {}
    }
    text
}

/// What `--print-uri` says.
pub fn printed(uri: &str) -> String {
    let quoted = shell_quote(uri.as_ref());
    let quoted = quoted.to_string_lossy();
    format!("{uri}\nShell-quoted URI: {quoted}\nCommand to query the NBD endpoint:\n  nbdinfo {quoted}\n")
}

/// Percent-encodes all but unreserved characters (RFC 3986, section 2.3) and `/`.
fn escape(text: &mut String, bytes: &OsStr) {
    for byte in bytes.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_exports() {
        let unix = |path| Place::Unix(Path::new(path));
        for (place, export, expected) in [
            (unix("/tmp/s"), "", "nbd+unix://?socket=/tmp/s"),
            (unix("/tmp/s"), "x", "nbd+unix:///x?socket=/tmp/s"),
            (unix("/tmp/s"), "/a", "nbd+unix:////a?socket=/tmp/s"),
            (
                unix("/a b&c?d~e$f\"g+h=i,j:k@l"),
                "~-._!*()+=&,;:@[]|",
                "nbd+unix:///~-._%21%2A%28%29%2B%3D%26%2C%3B%3A%40%5B%5D%7C?socket=/a%20b%26c%3Fd~e%24f%22g%2Bh%3Di%2Cj%3Ak%40l",
            ),
            (Place::Tcp(None), "", "nbd://localhost"),
            (Place::Tcp(Some("13333")), "", "nbd://localhost:13333"),
            (Place::Tcp(Some("13333")), "ex p/é?", "nbd://localhost:13333/ex%20p/%C3%A9%3F"),
            (Place::Vsock(None), "", "nbd+vsock://1"),
            (Place::Vsock(Some("5")), "x", "nbd+vsock://1:5/x"),
        ] {
            assert_eq!(uri(&Uri { place, export: export.as_ref(), tls: None }), expected);
        }
    }

    #[test]
    fn encrypted() {
        let (unix, tcp) = (Place::Unix(Path::new("/s")), Place::Tcp(None));
        for (place, tls, expected) in [
            (tcp, Credentials::Default, "nbds://localhost/x"),
            (tcp, Credentials::Certificates(Path::new("/c d")), "nbds://localhost/x?tls-certificates=/c%20d"),
            (unix, Credentials::Default, "nbds+unix:///x?socket=/s"),
            (unix, Credentials::PskFile(Path::new("/p")), "nbds+unix:///x?socket=/s&tls-psk-file=/p"),
        ] {
            assert_eq!(uri(&Uri { place, export: "x".as_ref(), tls: Some(tls) }), expected);
        }
    }

    #[test]
    fn printed_for_people_to_copy() {
        assert_eq!(
            printed("nbd+unix://?socket=/s"),
            "nbd+unix://?socket=/s\n\
             Shell-quoted URI: \"nbd+unix://?socket=/s\"\n\
             Command to query the NBD endpoint:\n  nbdinfo \"nbd+unix://?socket=/s\"\n"
        );
    }
}
