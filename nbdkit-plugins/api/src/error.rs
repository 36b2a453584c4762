// SPDX-License-Identifier: BSD-3-Clause
//! [`Error`]: an errno for the client, a chain of messages for the operator.

use std::{borrow::Cow, fmt, io};

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something failed.
///
/// The errno goes to the client (translated to the few that NBD knows); the message and the chain of its sources
/// go to the operator's log, and during option negotiation to the client too. The first line of a message is one
/// line that names the thing, the value and what would be right.
///
/// One pointer wide, so that `Result<()>` is one word and [`Op`](crate::Op) stays small.
pub struct Error(Box<Inner>);

struct Inner {
    errno: i32,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// `errno` as the system numbers it (`EIO`, `EINVAL` ...).
    pub fn new(errno: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Error(Box::new(Inner { errno, message: message.into(), source: None }))
    }

    /// A bad value on the command line, in a file, or in a request: `EINVAL`.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Error::new(libc::EINVAL, message)
    }

    /// A failed system call; `message` says on what. Takes the errno of `source`, or `EIO` if it has none.
    pub fn io(source: io::Error, message: impl Into<Cow<'static, str>>) -> Self {
        let errno = source.raw_os_error().unwrap_or(libc::EIO);
        Error(Box::new(Inner { errno, message: message.into(), source: Some(Box::new(source)) }))
    }

    /// The disk does not do this: `EOPNOTSUPP`.
    pub fn unsupported(operation: &str) -> Self {
        Error::new(libc::EOPNOTSUPP, format!("{operation} is not supported by this disk"))
    }

    /// The errno that goes to the client.
    pub fn errno(&self) -> i32 {
        self.0.errno
    }

    /// The outermost message, without its sources.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Puts a message in front and keeps the errno: `reading the header: short read`.
    pub fn context(self, message: impl Into<Cow<'static, str>>) -> Self {
        let errno = self.errno();
        Error(Box::new(Inner { errno, message: message.into(), source: Some(Box::new(self)) }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut source = std::error::Error::source(self);
        while let Some(inner) = source {
            if let Some(system) = inner.downcast_ref::<io::Error>() {
                return write!(f, ": {}", without_code(system));
            }
            write!(f, ": {inner}")?;
            // Our own errors print their chain themselves.
            source = if inner.is::<Error>() { None } else { inner.source() };
        }
        Ok(())
    }
}

/// What `strerror` says: the standard library adds ` (os error 2)`, which no other program prints.
fn without_code(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[errno {}] {self}", self.0.errno)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        let message = without_code(&source);
        Error::new(source.raw_os_error().unwrap_or(libc::EIO), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_reads_as_one_line_and_keeps_the_errno() {
        let inner = Error::io(io::Error::from_raw_os_error(libc::ENOENT), "disk.img");
        let outer = inner.context("open");
        assert_eq!(outer.to_string(), "open: disk.img: No such file or directory");
        assert_eq!(outer.errno(), libc::ENOENT);
        assert_eq!(outer.message(), "open");
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}
