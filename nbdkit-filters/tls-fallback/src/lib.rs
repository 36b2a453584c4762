// SPDX-License-Identifier: BSD-3-Clause
//! The tls-fallback filter: a note for clients that do not encrypt, the disk for those that do.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod note;

use nbdkit_filter::*;
use note::Note;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<TlsFallback>("tls-fallback", "shows clients without TLS a note instead of the disk");

params! {
    struct Params {
        /// What clients without TLS read, at most 512 bytes.
        "tlsreadme" => note: Note = Note::default(),
    }
}

/// The filter.
#[derive(Default)]
pub struct TlsFallback {
    params: Params,
    /// What is behind serves one client after the other.
    one_by_one: AtomicBool,
}

impl Filter for TlsFallback {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn thread_model(&self, below: ThreadModel) -> ThreadModel {
        self.one_by_one.store(below == ThreadModel::SerializeConnections, Relaxed);
        below
    }

    fn get_ready(&mut self) -> Result<()> {
        match *self.one_by_one.get_mut() {
            true => Err(Error::invalid(
                "the tls-fallback filter needs a plugin that serves several connections at once: anybody who holds \
                 one without TLS would keep everybody else out",
            )),
            false => Ok(()),
        }
    }

    fn list_exports(self: Arc<Self>, next: Next, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        match req.tls {
            true => next.list_exports(req),
            // Not even the names of what there is.
            false => Op::ok(Some(vec![Export::new("")])),
        }
    }

    fn default_export(self: Arc<Self>, next: Next, req: OpenRequest) -> Op<'static, Option<String>> {
        match req.tls {
            true => next.default_export(req),
            false => Op::ok(Some(String::new())),
        }
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        match req.tls {
            true => next.open(req),
            // Nothing behind is opened: who is not known yet makes no work.
            false => req.inline(self.params.note.clone()),
        }
    }
}
