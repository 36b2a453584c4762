// SPDX-License-Identifier: BSD-3-Clause
//! Why a handshake ended without a session.

use alloc::string::String;
use core::fmt;

use crate::wire::{ClientFlags, MAX_OPTION, Opt};

/// Why a handshake ended without a session: log it, then close the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abort {
    /// The client sent `NBD_OPT_ABORT`.
    Client,
    /// The client closed the connection between two messages.
    Eof,
    /// The client closed the connection inside a message.
    EofInMessage,
    /// The client set flags that were not offered.
    ClientFlags(ClientFlags),
    /// An option did not begin with its magic number but with this.
    BadMagic(u64),
    /// An option announced more than 64 MiB.
    OptionTooLong {
        /// The option.
        option: Opt,
        /// What it announced, in bytes.
        len: u32,
    },
    /// The client used up its budget of options.
    TooManyOptions,
    /// `NBD_OPT_EXPORT_NAME` with a name that cannot be; the text says what is wrong with it.
    BadExportName(String),
    /// `NBD_OPT_EXPORT_NAME` before TLS, or oldstyle, although TLS is required.
    TlsRequired,
    /// `NBD_OPT_EXPORT_NAME` after extended headers were negotiated.
    ExportNameExtended,
    /// The driver refused the export, and this style of negotiation has no error replies; with the driver's
    /// text.
    Refused(String),
}

impl Abort {
    /// Whether the client left as the protocol allows, so that there is nothing to warn about.
    #[must_use]
    pub const fn is_polite(&self) -> bool {
        matches!(self, Self::Client | Self::Eof)
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client sent NBD_OPT_ABORT"),
            Self::Eof => f.write_str("client closed the connection between options"),
            Self::EofInMessage => f.write_str("client closed the connection in the middle of a message"),
            Self::ClientFlags(flags) => {
                write!(f, "client set flags that were not offered: {flags}")
            }
            Self::BadMagic(magic) => {
                write!(f, "option begins with {magic:#018x} where the magic number IHAVEOPT belongs")
            }
            Self::OptionTooLong { option, len } => {
                write!(f, "client sent {option} of {len} bytes; at most {MAX_OPTION} are taken")
            }
            Self::TooManyOptions => {
                f.write_str("client spent too much time negotiating without selecting an export")
            }
            Self::BadExportName(why) => write!(f, "NBD_OPT_EXPORT_NAME: {why}"),
            Self::TlsRequired => f.write_str("client asked for an export before TLS, which is required"),
            Self::ExportNameExtended => f.write_str(
                "client sent NBD_OPT_EXPORT_NAME after NBD_OPT_EXTENDED_HEADERS; NBD_OPT_GO belongs there",
            ),
            Self::Refused(why) => write!(f, "export refused: {why}"),
        }
    }
}

impl core::error::Error for Abort {}
