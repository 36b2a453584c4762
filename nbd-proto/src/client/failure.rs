// SPDX-License-Identifier: BSD-3-Clause
//! Why a handshake did not reach its goal.

use alloc::string::String;
use core::fmt;

use crate::MAX_CONTEXTS;
use crate::wire::{Opt, Rep};

/// Why a handshake did not reach its goal: report it and close the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The export name asked for cannot be; the text says what is wrong with it.
    BadExportName(String),
    /// The meta contexts asked for are too many, or one of them has more than 4096 bytes.
    BadContexts,
    /// The server closed the connection.
    Eof,
    /// The server closed the connection instead of opening the export by `NBD_OPT_EXPORT_NAME`.
    NoSuchExport,
    /// The server does not begin as an NBD server does but with this.
    NotNbd(u64),
    /// The server's style of negotiation, by its magic number, is unknown.
    UnknownStyle(u64),
    /// The server is too old for what is wanted: it has no options.
    NoOptions,
    /// The server refused an option without which the goal cannot be reached.
    Refused {
        /// The option.
        option: Opt,
        /// The server's error.
        reply: Rep,
        /// The server's words, perhaps empty.
        text: String,
    },
    /// The server's reply to an option makes no sense.
    BadReply {
        /// The option.
        option: Opt,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadExportName(why) => f.write_str(why),
            Self::BadContexts => {
                write!(f, "meta contexts must be at most {MAX_CONTEXTS}, with names of at most 4096 bytes")
            }
            Self::Eof => f.write_str("server closed the connection during the handshake"),
            Self::NoSuchExport => f.write_str("server closed the connection: it does not have the export"),
            Self::NotNbd(magic) => write!(f, "not an NBD server: it begins with {magic:#018x}"),
            Self::UnknownStyle(magic) => write!(f, "unknown style of NBD negotiation {magic:#018x}"),
            Self::NoOptions => {
                f.write_str("server does not speak fixed newstyle: it can only open an export, without TLS")
            }
            Self::Refused { option, reply, text } if text.is_empty() => {
                write!(f, "server refused {option} with {reply}")
            }
            Self::Refused { option, reply, text } => {
                write!(f, "server refused {option} with {reply}: {text}")
            }
            Self::BadReply { option, why } => write!(f, "server's reply to {option} makes no sense: {why}"),
        }
    }
}

impl core::error::Error for Failure {}
