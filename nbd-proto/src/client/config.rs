// SPDX-License-Identifier: BSD-3-Clause
//! What a client wants.

use alloc::string::String;
use alloc::vec::Vec;

/// What the handshake is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// Use the export, by `NBD_OPT_GO`, or by `NBD_OPT_EXPORT_NAME` with servers that know nothing better.
    /// Ends in [`Step::Done`](super::Step::Done).
    #[default]
    Go,
    /// Use the export, by `NBD_OPT_EXPORT_NAME` and without extended headers. Ends in
    /// [`Step::Done`](super::Step::Done).
    ExportName,
    /// Ask about the export: one [`Event::Info`](super::Event::Info), then
    /// [`Step::Finished`](super::Step::Finished).
    Info,
    /// Ask for the exports: one [`Event::Export`](super::Event::Export) each, then
    /// [`Step::Finished`](super::Step::Finished).
    List,
    /// Ask for the export's meta contexts that match [`Config::contexts`](struct@Config), all of them if
    /// there are none: one [`Event::Context`](super::Event::Context) each, then
    /// [`Step::Finished`](super::Step::Finished).
    ListContexts,
}

impl Goal {
    /// Whether reaching it begins transmission.
    pub(super) const fn is_export(self) -> bool {
        matches!(self, Self::Go | Self::ExportName)
    }
}

/// Whether to use TLS (specification, "TLS support").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// No.
    #[default]
    Off,
    /// If the server agrees. Anybody in between can disagree in its name.
    Preferred,
    /// Yes, or fail.
    Required,
}

/// What a client wants. Start from [`Config::new`] and change what is different.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What the handshake is for.
    pub goal: Goal,
    /// The export; empty for the default one. At most 4096 bytes without NUL. Oldstyle servers are not told.
    pub export: String,
    /// Whether to ask for structured replies; yes by default. A server may refuse.
    pub structured_replies: bool,
    /// Whether to ask for extended headers; yes by default. A server may refuse.
    pub extended_headers: bool,
    /// The meta contexts to select, for instance `base:allocation`; none by default, at most 32. They need
    /// structured replies or extended headers. A server may have others or none.
    pub contexts: Vec<String>,
    /// Whether to use TLS; off by default.
    pub tls: Tls,
}

impl Config {
    /// Use `export` with whatever the server can do.
    #[must_use]
    pub fn new(export: impl Into<String>) -> Self {
        Self {
            goal: Goal::Go,
            export: export.into(),
            structured_replies: true,
            extended_headers: true,
            contexts: Vec::new(),
            tls: Tls::Off,
        }
    }

    /// Sets what the handshake is for.
    #[must_use]
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    /// Sets whether to ask for structured replies.
    #[must_use]
    pub fn structured_replies(mut self, wanted: bool) -> Self {
        self.structured_replies = wanted;
        self
    }

    /// Sets whether to ask for extended headers.
    #[must_use]
    pub fn extended_headers(mut self, wanted: bool) -> Self {
        self.extended_headers = wanted;
        self
    }

    /// Adds a meta context to select.
    #[must_use]
    pub fn context(mut self, name: impl Into<String>) -> Self {
        self.contexts.push(name.into());
        self
    }

    /// Sets whether to use TLS.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }
}
