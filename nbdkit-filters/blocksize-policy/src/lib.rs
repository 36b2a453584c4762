// SPDX-License-Identifier: BSD-3-Clause
//! The blocksize-policy filter: tells clients other block sizes, and refuses requests that break them.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod layer;
mod sizes;

use layer::Policed;
use nbdkit_filter::{values::one_of, *};
use sizes::{chosen, sizes};
use std::ffi::OsStr;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<BlocksizePolicy>("blocksize-policy", "declare and enforce other block sizes");

params! {
    pub(crate) struct Params {
        /// The smallest request that clients should send, and what their requests should be a multiple of: a power of two,
        /// at most 64K.
        "blocksize-minimum" => minimum: Option<Size>,
        /// The size of requests that clients should prefer: a power of two between 512 and 32M.
        "blocksize-preferred" => preferred: Option<Size>,
        /// The largest read or write that clients should send.
        "blocksize-maximum" => maximum: Option<Size>,
        /// What to do with requests that break the block sizes: pass them on (`allow`), let them fail unless they read or
        /// write the end of the disk (`error`), or let them fail (`strict-error`).
        "blocksize-error-policy" => policy: Policy = Policy::Allow,
        /// Clients that write more than this at once are sent away.
        "blocksize-write-disconnect" => disconnect: Option<Size>,
    }
}

/// What to do with requests that break the block sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Pass them on.
    Allow,
    /// Refuse them, but not for where the disk ends.
    Error,
    /// Refuse them.
    StrictError,
}

const WORDS: [(&str, Policy); 3] =
    [("allow", Policy::Allow), ("error", Policy::Error), ("strict-error", Policy::StrictError)];

impl Value for Policy {
    const KIND: &'static str = "allow|error|strict-error";

    fn parse(value: &OsStr) -> Result<Self, String> {
        one_of(value, &WORDS)
    }

    fn show(&self) -> String {
        let word = WORDS.iter().find(|(_, policy)| policy == self);
        word.map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

/// The filter.
#[derive(Default)]
pub struct BlocksizePolicy {
    params: Params,
}

impl Filter for BlocksizePolicy {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config_complete(&mut self) -> Result<()> {
        self.params.check()
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        next.open(req.clone()).layer(move |disk| {
            let params = &self.params;
            let info = disk.info().clone();
            let block = sizes(params, info.block)?;
            let info = info.with(|info| info.block = block);
            Ok(Policed {
                next: disk,
                info,
                policy: params.policy,
                most: chosen(params.disconnect),
                connection: req.connection.clone(),
                log: req.log().clone(),
            })
        })
    }
}
