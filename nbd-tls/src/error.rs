// SPDX-License-Identifier: BSD-3-Clause
//! What can go wrong, and whose fault it is.

use std::{fmt, io, path::Path};

/// What went wrong, in one line that says which and why. Never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What went wrong, for a caller that has to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A folder of certificates lacks one of the files that make it one (or does not exist).
    NotADirectory,
    /// A file is there and cannot be read.
    Unreadable,
    /// A file is there and is not what it should be, or does not fit the others.
    Malformed,
    /// A priority string, a server name or a user name that cannot be used.
    Config,
    /// This build cannot do it.
    Unsupported,
    /// The peer's certificate has expired.
    Expired,
    /// The peer's certificate is not valid yet.
    NotYetValid,
    /// The peer's certificate was revoked.
    Revoked,
    /// The peer's certificate is not signed by an authority that we know.
    UnknownAuthority,
    /// The peer sent no certificate where one was demanded.
    NoCertificate,
    /// The certificate of the server belongs to another host.
    WrongHost,
    /// The peer's certificate is bad in another way.
    BadCertificate,
    /// The client's user name is not in the file of keys.
    UnknownUser,
    /// The two halves have different keys for the same user name.
    WrongKey,
    /// The two halves have no version, cipher or key exchange in common.
    NothingInCommon,
    /// The peer gave up, and said why.
    Alert,
    /// What the peer sent is no TLS, is forged, or breaks the rules.
    Protocol,
    /// The transport ended within the handshake.
    Cut,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into() }
    }

    /// The same, but for callers of another kind where it was found.
    pub(crate) fn within(self, kind: ErrorKind) -> Error {
        match self.kind {
            ErrorKind::NotADirectory => Error { kind, ..self },
            _ => self,
        }
    }

    /// What went wrong, for a caller that has to decide.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A file that cannot be read: `PATH: No such file or directory`.
pub(crate) fn file(path: &Path, failure: &io::Error) -> Error {
    let kind = match failure.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NotADirectory,
        _ => ErrorKind::Unreadable,
    };
    // The number behind the words tells nobody anything.
    let words = failure.to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    Error::new(kind, format!("{}: {words}", path.display()))
}
