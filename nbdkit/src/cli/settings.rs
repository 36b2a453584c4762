// SPDX-License-Identifier: BSD-3-Clause
//! The kinds of values that only options of the server have.
//!
//! An error that begins with a dash names its option itself; others get the name in front.

use clap::builder::{OsStringValueParser, TypedValueParser};
use nbdkit_plugin::Value;
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

/// `-U`: a Unix domain socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnixSocket {
    /// `-`: in a temporary directory, removed with it at the end.
    Private,
    /// At this absolute path, at most 107 bytes long.
    Path(PathBuf),
}

/// The longest path that `struct sockaddr_un` holds, in bytes, with the NUL behind it.
const PATH_MAX: usize = 107;

impl UnixSocket {
    pub(super) fn parse(value: &OsStr) -> Result<UnixSocket, String> {
        if value == "-" {
            return Ok(UnixSocket::Private);
        }
        let path = PathBuf::parse(value)?;
        match path.as_os_str().len() {
            0..=PATH_MAX => Ok(UnixSocket::Path(path)),
            length => {
                Err(format!("-U: path too long: length {length} > max {PATH_MAX} bytes: {}", path.display()))
            }
        }
    }
}

/// `--tls`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tls {
    /// Clients cannot ask for it.
    Off,
    /// Clients may ask for it.
    On,
    /// Clients must ask for it.
    Require,
}

impl Tls {
    pub(super) fn parse(value: &OsStr) -> Result<Tls, String> {
        if ["require", "required", "force"].iter().any(|word| value.eq_ignore_ascii_case(word)) {
            return Ok(Tls::Require);
        }
        match bool::parse(value) {
            Ok(true) => Ok(Tls::On),
            Ok(false) => Ok(Tls::Off),
            Err(_) => Err(format!(
                "could not decipher boolean ({}), should be off, on or require",
                value.to_string_lossy()
            )),
        }
    }
}

/// `--log`: where error messages go. Debug messages always go to standard error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogTarget {
    /// Standard error, but the system log once in the background.
    Default,
    /// Standard error.
    Stderr,
    /// The system log.
    Syslog,
    /// Nowhere.
    Null,
    /// Appended to the file with this absolute path.
    File(PathBuf),
}

impl LogTarget {
    pub(super) fn parse(value: &OsStr) -> Result<LogTarget, String> {
        match value.as_bytes() {
            b"default" => Ok(LogTarget::Default),
            b"stderr" => Ok(LogTarget::Stderr),
            b"syslog" => Ok(LogTarget::Syslog),
            b"null" => Ok(LogTarget::Null),
            [b'/', ..] => Ok(LogTarget::File(value.into())),
            _ => Err(format!(
                "--log must be \"default\", \"stderr\", \"syslog\", \"null\" or an absolute path, not '{}'",
                value.to_string_lossy()
            )),
        }
    }
}

/// `-D NAME.FLAG=N`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DebugFlag {
    /// A plugin, a filter, or `nbdkit` itself.
    pub component: String,
    /// What is to be shown. May have dots in it.
    pub flag: String,
    /// How much of it; 0 is none.
    pub value: i32,
}

impl DebugFlag {
    pub(super) fn parse(value: &OsStr) -> Result<DebugFlag, String> {
        let whole = nbdkit_plugin::values::text(value)?;
        let parts = || {
            let (name, value) = whole.split_once('=')?;
            let (component, flag) = name.split_once('.')?;
            let value = i32::parse(OsStr::new(value)).ok()?;
            (!component.is_empty() && !flag.is_empty()).then(|| DebugFlag {
                component: component.into(),
                flag: flag.into(),
                value,
            })
        };
        parts().ok_or_else(|| {
            format!("-D (Debug Flag) must have the format NAME.FLAG=N, such as file.zero=1, not '{whole}'")
        })
    }
}

/// `-t`: 0 means as many as usual.
pub(super) fn threads(value: &OsStr) -> Result<u32, String> {
    if value.to_str().is_some_and(|value| value.trim_start().starts_with('-')) {
        return Err(format!("negative numbers are not allowed: {}", value.to_string_lossy()));
    }
    Ok(match u32::parse(value)? {
        0 => super::options::THREADS,
        threads => threads,
    })
}

/// Gives clap a parser of values that are bytes.
pub(super) fn by<T: Clone + Send + Sync + 'static>(
    parse: fn(&OsStr) -> Result<T, String>,
) -> impl TypedValueParser<Value = T> {
    OsStringValueParser::new().try_map(move |value: OsString| parse(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls() {
        for (text, tls) in [
            ("off", Tls::Off),
            ("0", Tls::Off),
            ("NO", Tls::Off),
            ("on", Tls::On),
            ("1", Tls::On),
            ("require", Tls::Require),
            ("REQUIRED", Tls::Require),
            ("force", Tls::Require),
        ] {
            assert_eq!(Tls::parse(text.as_ref()), Ok(tls), "{text}");
        }
        for text in ["", "xx", "requires"] {
            assert!(
                Tls::parse(text.as_ref()).unwrap_err().starts_with("could not decipher boolean ("),
                "{text}"
            );
        }
    }

    #[test]
    fn unix_sockets() {
        assert_eq!(UnixSocket::parse("-".as_ref()), Ok(UnixSocket::Private));
        assert_eq!(UnixSocket::parse("/x".as_ref()), Ok(UnixSocket::Path("/x".into())));
        assert_eq!(
            UnixSocket::parse("x".as_ref()),
            Ok(UnixSocket::Path(std::env::current_dir().unwrap().join("x")))
        );
        assert!(UnixSocket::parse("".as_ref()).is_err());
        let path = |length: usize| format!("/{}", "x".repeat(length - 1));
        assert!(UnixSocket::parse(path(107).as_ref()).is_ok());
        let error = UnixSocket::parse(path(108).as_ref()).unwrap_err();
        assert!(error.starts_with("-U: path too long: length 108 > max 107 bytes"), "{error}");
    }

    #[test]
    fn log_targets() {
        for (text, target) in [
            ("default", LogTarget::Default),
            ("stderr", LogTarget::Stderr),
            ("syslog", LogTarget::Syslog),
            ("null", LogTarget::Null),
            ("/var/log/x", LogTarget::File("/var/log/x".into())),
        ] {
            assert_eq!(LogTarget::parse(text.as_ref()), Ok(target));
        }
        for text in ["", "xx", "x/y", "./x"] {
            assert!(LogTarget::parse(text.as_ref()).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_flags() {
        let flag = |component: &str, flag: &str, value| {
            Ok(DebugFlag { component: component.into(), flag: flag.into(), value })
        };
        for (text, expected) in [
            ("a.b=1", flag("a", "b", 1)),
            ("a.b.c=0x10", flag("a", "b.c", 16)),
            ("null.b=-3", flag("null", "b", -3)),
            ("a.b= 3", flag("a", "b", 3)),
        ] {
            assert_eq!(DebugFlag::parse(text.as_ref()), expected, "{text}");
        }
        for text in ["", "foo", "x.y", "x.y=", "x.y=z", "a.=1", ".b=1", "a=b.c", "a=1"] {
            let error = DebugFlag::parse(text.as_ref()).unwrap_err();
            assert!(error.starts_with("-D (Debug Flag) must have the format NAME.FLAG=N"), "{text}");
        }
    }

    #[test]
    fn thread_counts() {
        assert_eq!(threads("0".as_ref()), Ok(64));
        assert_eq!(threads("1".as_ref()), Ok(1));
        assert_eq!(threads("0x20".as_ref()), Ok(32));
        assert!(threads("-1".as_ref()).unwrap_err().contains("negative numbers are not allowed"));
        assert!(threads("x".as_ref()).unwrap_err().contains("empty string where we expected a number"));
        assert!(threads("4294967296".as_ref()).unwrap_err().contains("out of range"));
    }
}
