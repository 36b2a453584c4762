// SPDX-License-Identifier: BSD-3-Clause
//! What was negotiated: a plain value that all of transmission depends on.

use alloc::string::String;
use alloc::vec::Vec;

use crate::wire::TransmissionFlags;
use crate::{Context, ExportInfo, Mode, Request};

/// The outcome of a handshake, and all that the transmission phase needs to know.
///
/// It never changes, so it can be shared between whoever decodes requests ([`Session::decode`]) and whoever
/// encodes replies ([`Session::ok`] and its neighbours).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub(super) mode: Mode,
    pub(super) name: String,
    pub(super) export: ExportInfo,
    pub(super) contexts: Vec<Context>,
    pub(super) max_payload: u32,
    pub(super) tls: bool,
}

impl Session {
    /// Which messages carry requests and replies.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The export name that the client asked for; empty for the default export.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The export as the driver described it, with the flags that were really sent.
    #[must_use]
    pub fn export(&self) -> &ExportInfo {
        &self.export
    }

    /// Size of the export in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.export.size
    }

    /// The transmission flags that were sent.
    #[must_use]
    pub fn flags(&self) -> TransmissionFlags {
        self.export.flags
    }

    /// The negotiated meta contexts; none if block status cannot be asked for.
    #[must_use]
    pub fn contexts(&self) -> &[Context] {
        &self.contexts
    }

    /// The contexts that a block status asks for: one [chunk](Session::block_status) each.
    pub fn contexts_of(&self, request: &Request) -> impl Iterator<Item = &Context> + use<'_> {
        let chosen = request.contexts;
        self.contexts
            .iter()
            .enumerate()
            .filter(move |(index, _)| chosen.contains(*index))
            .map(|(_, context)| context)
    }

    /// Largest read or write in bytes.
    #[must_use]
    pub fn max_payload(&self) -> u32 {
        self.max_payload
    }

    /// Whether the handshake was upgraded to TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}
