// SPDX-License-Identifier: BSD-3-Clause
//! What was negotiated: a plain value that all of transmission depends on.

use alloc::vec::Vec;

use crate::wire::TransmissionFlags;
use crate::{Context, ExportInfo, Mode};

/// The outcome of a handshake, and all that the transmission phase needs to know.
///
/// It never changes, so it can be shared between whoever sends requests ([`Session::encode`]) and whoever
/// receives replies ([`Session::decode`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub(super) mode: Mode,
    pub(super) export: ExportInfo,
    pub(super) contexts: Vec<Context>,
    pub(super) tls: bool,
}

impl Session {
    /// Which messages carry requests and replies.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The export as the server describes it.
    #[must_use]
    pub fn export(&self) -> &ExportInfo {
        &self.export
    }

    /// Size of the export in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.export.size
    }

    /// What the export can do.
    #[must_use]
    pub fn flags(&self) -> TransmissionFlags {
        self.export.flags
    }

    /// The negotiated meta contexts; none if block status cannot be asked for.
    #[must_use]
    pub fn contexts(&self) -> &[Context] {
        &self.contexts
    }

    /// Whether the handshake was upgraded to TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}
