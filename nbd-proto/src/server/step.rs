// SPDX-License-Identifier: BSD-3-Clause
//! What the handshake has to say to the driver.

use alloc::string::String;

use super::{Abort, Session};

/// What the driver has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read from the client and [`feed`](super::Handshake::feed), or report the end with
    /// [`eof`](super::Handshake::eof).
    NeedInput,
    /// Write [`output`](super::Handshake::output) to the client.
    Send,
    /// Do the TLS handshake, then call [`tls_started`](super::Handshake::tls_started).
    StartTls,
    /// Answer a question.
    Ask(Ask),
    /// The handshake is over: go on with the session.
    Done(Session),
    /// The handshake is over: close the connection.
    Abort(Abort),
}

/// What only the driver knows. Names are as the client sent them, empty for the default export.
///
/// Every question may be answered by [`refuse`](super::Handshake::refuse).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Which exports are there? Answer with any number of [`list_export`](super::Handshake::list_export),
    /// then [`list_done`](super::Handshake::list_done).
    List,
    /// What is this export like? Answer with [`open`](super::Handshake::open); if the export was opened for
    /// it, it can be closed again.
    Info {
        /// The export.
        name: String,
    },
    /// Open this export for use. Answer with [`open`](super::Handshake::open).
    Go {
        /// The export.
        name: String,
    },
    /// Open this export for use; a refusal closes the connection. Answer with
    /// [`open`](super::Handshake::open).
    ExportName {
        /// The export.
        name: String,
    },
    /// Which meta contexts has this export? Answer with [`contexts`](super::Handshake::contexts).
    Contexts {
        /// The export.
        name: String,
    },
}
