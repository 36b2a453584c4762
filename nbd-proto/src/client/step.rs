// SPDX-License-Identifier: BSD-3-Clause
//! What the handshake has to say to the driver.

use alloc::string::String;

use super::{Failure, Session};
use crate::ExportInfo;
use crate::wire::{Opt, Rep};

/// What the driver has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read from the server and [`feed`](super::Handshake::feed), or report the end with
    /// [`eof`](super::Handshake::eof).
    NeedInput,
    /// Write [`output`](super::Handshake::output) to the server.
    Send,
    /// Do the TLS handshake, then call [`tls_started`](super::Handshake::tls_started).
    StartTls,
    /// Take note of something. Each event comes once.
    Event(Event),
    /// The goal is reached: go on with the session.
    Done(Session),
    /// The goal is reached: close the connection.
    Finished,
    /// The goal is not reached: close the connection.
    Failed(Failure),
}

/// What a server said that is of interest by itself. Text that is not UTF-8 has its bad bytes replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// One export of the list. If the handshake fails later, so has the list.
    Export {
        /// Its name.
        name: String,
        /// A text for people, perhaps empty.
        description: String,
    },
    /// One meta context of the list: a name, or a namespace to ask further about. If the handshake fails
    /// later, so has the list.
    Context {
        /// Its name.
        name: String,
    },
    /// What the export is like.
    Info(ExportInfo),
    /// The server refused something that can be done without; the handshake goes on.
    Refused {
        /// The option.
        option: Opt,
        /// The server's error.
        reply: Rep,
        /// The server's words, perhaps empty.
        text: String,
    },
}
