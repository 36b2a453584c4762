// SPDX-License-Identifier: BSD-3-Clause
//! NBD URIs (<https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md>).

use nbdkit_plugin::{Error, Result};
use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

/// A URI, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Uri {
    pub place: Place,
    /// It must be encrypted.
    pub tls: bool,
    pub export: String,
    pub username: Option<String>,
    pub tls_certificates: Option<PathBuf>,
    pub tls_psk: Option<PathBuf>,
    pub tls_verify: Option<bool>,
    /// The name that the server's certificate must have, where it is not that of the host.
    pub tls_hostname: Option<String>,
}

/// Where the server is.
#[derive(Debug, PartialEq)]
pub(crate) enum Place {
    Tcp { host: String, port: Option<String> },
    Unix(OsString),
    Vsock { cid: u32, port: Option<String> },
}

impl Uri {
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Uri> {
        parse(text).map_err(|why| Error::invalid(format!("uri={text}: {why}")))
    }
}

type Parsed<T> = Result<T, String>;

fn parse(text: &str) -> Parsed<Uri> {
    let (scheme, rest) = text.split_once(':').ok_or(
        "NBD URI does not have a scheme: valid NBD URIs should start with a scheme like nbd://, nbds:// or nbd+unix://",
    )?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let rest = rest.strip_prefix("//").ok_or(format!("should go on with // after {scheme}:"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (userinfo, address) = match authority.rsplit_once('@') {
        Some((userinfo, address)) => (Some(userinfo), address),
        None => (None, authority),
    };
    let (tls, transport) = match scheme.strip_prefix("nbds") {
        Some(transport) => (true, transport),
        None => (false, scheme.strip_prefix("nbd").ok_or(unknown(scheme))?),
    };
    let mut uri = Uri {
        place: Place::Unix(OsString::new()),
        tls,
        export: decode_text("export name", path)?,
        username: userinfo.map(|name| decode_text("user name", name)).transpose()?,
        tls_certificates: None,
        tls_psk: None,
        tls_verify: None,
        tls_hostname: None,
    };
    let socket = uri.take_query(query)?;
    uri.place = match (transport, socket) {
        ("", None) => {
            let (host, port) = split_port(address)?;
            Place::Tcp { host: host.unwrap_or("localhost").to_owned(), port }
        }
        ("+vsock", None) => {
            let (cid, port) = split_port(address)?;
            // Without a context id the other end is this machine (VMADDR_CID_LOCAL, vsock(7)).
            let cid = cid.unwrap_or("1");
            let cid = cid.parse().map_err(|_| format!("{cid} is not a vsock context id"))?;
            Place::Vsock { cid, port }
        }
        ("+unix", Some(socket)) if address.is_empty() => Place::Unix(socket),
        ("+unix", Some(_)) => {
            return Err(format!("a Unix domain socket is on no host, should not say {address}"));
        }
        ("+unix", None) => return Err("should say where the socket is: ?socket=PATH".to_owned()),
        ("" | "+vsock", Some(_)) => return Err(format!("socket= is for nbd+unix://, not for {scheme}://")),
        _ => return Err(unknown(scheme)),
    };
    Ok(uri)
}

impl Uri {
    /// Takes what is said behind the question mark; the path of the socket is the caller's.
    fn take_query(&mut self, query: &str) -> Parsed<Option<OsString>> {
        let mut socket = None;
        for parameter in query.split(['&', ';']).filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match key {
                "socket" => socket = Some(decode(value)?),
                "tls-certificates" => self.tls_certificates = Some(decode(value)?.into()),
                "tls-psk-file" => self.tls_psk = Some(decode(value)?.into()),
                "tls-hostname" => self.tls_hostname = Some(decode_text(key, value)?),
                "tls-username" => self.username = Some(decode_text(key, value)?),
                "tls-verify-peer" => {
                    self.tls_verify = Some(match value {
                        "1" | "true" => true,
                        "0" | "false" => false,
                        _ => return Err(format!("tls-verify-peer={value} should be 0 or 1")),
                    });
                }
                "tls-type" if matches!(value, "x509" | "psk") => {}
                "tls-type" => {
                    return Err(format!("tls-type={value} cannot be used here, should be x509 or psk"));
                }
                _ if key.starts_with("x-") => {}
                _ => return Err(format!("unknown query parameter {key}")),
            }
        }
        Ok(socket)
    }
}

fn unknown(scheme: &str) -> String {
    format!(
        "unknown NBD URI scheme: {scheme}: should be nbd, nbds, nbd+unix, nbds+unix, nbd+vsock or nbds+vsock"
    )
}

/// `HOST:PORT`, where an address of IPv6 stands in brackets; both may be missing.
fn split_port(address: &str) -> Parsed<(Option<&str>, Option<String>)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(format!("{address} lacks the closing bracket"))?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => {
            let (host, port) = address.split_once(':').unwrap_or((address, ""));
            (host, (!port.contains(':')).then_some(port))
        }
    };
    let port = port.ok_or(format!("{address} is not HOST:PORT; an address of IPv6 stands in brackets"))?;
    Ok(((!host.is_empty()).then_some(host), (!port.is_empty()).then(|| port.to_owned())))
}

fn decode_text(what: &str, text: &str) -> Parsed<String> {
    decode(text)?.into_string().map_err(|_| format!("{what} {text} is not UTF-8"))
}

/// Resolves `%XX` (RFC 3986, section 2.1).
fn decode(text: &str) -> Parsed<OsString> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = after else { return Err(format!("{text} ends within %XX")) };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) =
            digit(*high).zip(digit(*low)).ok_or(format!("{text} has % without two hex digits"))?;
        bytes.push((high << 4 | low) as u8); // both below 16
        rest = after;
    }
    Ok(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> (Place, String, bool) {
        let uri = Uri::parse(text).unwrap();
        (uri.place, uri.export, uri.tls)
    }

    #[test]
    fn every_transport() {
        let tcp =
            |host: &str, port: Option<&str>| Place::Tcp { host: host.into(), port: port.map(Into::into) };
        let unix = |path: &str| Place::Unix(path.into());
        let vsock = |cid, port: Option<&str>| Place::Vsock { cid, port: port.map(Into::into) };
        for (text, expected, export, tls) in [
            ("nbd://example.com:10809/disk", tcp("example.com", Some("10809")), "disk", false),
            ("nbds://example.com", tcp("example.com", None), "", true),
            ("nbd://example.com//disk", tcp("example.com", None), "/disk", false),
            ("nbd://h/hello%20world", tcp("h", None), "hello world", false),
            ("nbd://[::1]:5/x", tcp("::1", Some("5")), "x", false),
            ("nbd://[::1]", tcp("::1", None), "", false),
            ("nbd://", tcp("localhost", None), "", false),
            ("nbd://:7", tcp("localhost", Some("7")), "", false),
            ("nbd+unix:///disk?socket=/s%2Fa%20b", unix("/s/a b"), "disk", false),
            ("nbds+unix://?socket=s", unix("s"), "", true),
            ("nbd+unix:///?socket=%00/abstract", unix("\0/abstract"), "", false),
            ("nbd+vsock://2:10/x", vsock(2, Some("10")), "x", false),
            ("nbds+vsock://", vsock(1, None), "", true),
        ] {
            assert_eq!(place(text), (expected, export.to_owned(), tls), "{text}");
        }
    }

    #[test]
    fn what_tls_needs() {
        let uri = Uri::parse(
            "nbds://al%69ce@h/?tls-certificates=/c&tls-verify-peer=0&tls-hostname=real&x-new=1&tls-psk-file=/p",
        );
        let uri = uri.unwrap();
        assert_eq!(uri.username.as_deref(), Some("alice"));
        assert_eq!(uri.tls_certificates, Some("/c".into()));
        assert_eq!(uri.tls_psk, Some("/p".into()));
        assert_eq!((uri.tls_verify, uri.tls_hostname.as_deref()), (Some(false), Some("real")));
    }

    #[test]
    fn refusals_say_what_would_be_right() {
        for (text, why) in [
            ("foo", "does not have a scheme: valid NBD URIs should start with a scheme like nbd://"),
            ("http://a/b", "unknown NBD URI scheme: http"),
            ("nbd+ssh://a/b", "unknown NBD URI scheme: nbd+ssh"),
            ("nbd:host", "//"),
            ("nbd+unix://", "?socket=PATH"),
            ("nbd+unix://host/?socket=s", "host"),
            ("nbd://h?socket=s", "socket="),
            ("nbd://::1", "brackets"),
            ("nbd://[::1", "bracket"),
            ("nbd://[::1]5", "brackets"),
            ("nbd://h/%zz", "%zz"),
            ("nbd://h/%f", "%f"),
            ("nbd://h/%ff", "UTF-8"),
            ("nbd://h/?tls-verify-peer=perhaps", "0 or 1"),
            ("nbd://h/?tls-type=anon", "x509 or psk"),
            ("nbd://h/?sokcet=s", "unknown query parameter sokcet"),
            ("nbd+vsock://host", "context id"),
        ] {
            let error = Uri::parse(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.lines().count() == 1, "{text}: {error}");
        }
    }
}
