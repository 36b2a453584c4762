// SPDX-License-Identifier: BSD-3-Clause
//! What a server offers.

use crate::wire::{HandshakeFlags, MAX_REQUEST_PAYLOAD, OPTION_BUDGET};

/// How the server greets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// With options (specification, "Fixed newstyle negotiation").
    #[default]
    Newstyle,
    /// Without: the default export, simple replies and nothing else (specification, "Oldstyle negotiation").
    Oldstyle,
}

/// What the server makes of `NBD_OPT_STARTTLS` (specification, "TLS support").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Refused as a matter of policy.
    #[default]
    Off,
    /// Refused because this server cannot.
    Unsupported,
    /// Done if the client wishes (SELECTIVETLS).
    Allowed,
    /// Nothing else is answered before it (FORCEDTLS).
    Required,
}

/// What a server offers. Start from [`Config::default`] and change what is different.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How to greet.
    pub style: Style,
    /// The handshake flags to offer; all by default.
    pub handshake_flags: HandshakeFlags,
    /// Whether to agree to `NBD_OPT_STRUCTURED_REPLY`; yes by default.
    pub structured_replies: bool,
    /// Whether to answer the two options about meta contexts; yes by default.
    pub meta_contexts: bool,
    /// Whether to agree to `NBD_OPT_EXTENDED_HEADERS`; yes by default. It does not need structured replies.
    pub extended_headers: bool,
    /// What to make of TLS; off by default.
    pub tls: Tls,
    /// Largest read or write in bytes; 64 MiB by default, at most 1 GiB.
    pub max_payload: u32,
    /// Options a client may send before it selects an export; 32 by default. The first listing adds as many
    /// again for each export listed.
    pub option_budget: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            style: Style::Newstyle,
            handshake_flags: HandshakeFlags::ALL,
            structured_replies: true,
            meta_contexts: true,
            extended_headers: true,
            tls: Tls::Off,
            max_payload: MAX_REQUEST_PAYLOAD,
            option_budget: OPTION_BUDGET,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty;)*) => {
        impl Config {
            $($(#[$doc])*
            #[must_use]
            pub fn $field(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            })*
        }
    };
}

setters! {
    /// Sets [`Config::style`](struct@Config).
    style: Style;
    /// Sets the handshake flags to offer; unknown bits are never sent.
    handshake_flags: HandshakeFlags;
    /// Sets whether structured replies are offered.
    structured_replies: bool;
    /// Sets whether meta contexts are offered.
    meta_contexts: bool;
    /// Sets whether extended headers are offered.
    extended_headers: bool;
    /// Sets what to make of TLS.
    tls: Tls;
    /// Sets the largest read or write in bytes.
    max_payload: u32;
    /// Sets how many options a client may send.
    option_budget: u32;
}
