// SPDX-License-Identifier: BSD-3-Clause
//! The noparallel filter: lowers the thread model. The gate that keeps it is put up by the chain.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;
use std::ffi::OsStr;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Noparallel>("noparallel", "answers one request at a time");

params! {
    struct Params {
        /// What happens one by one: the `requests` of each connection, `all-requests` of all connections together, or
        /// whole `connections`.
        "serialize" => serialize: Serialize = Serialize(ThreadModel::SerializeRequests),
    }
}

#[derive(Clone, Copy)]
struct Serialize(ThreadModel);

const MODES: [(&str, ThreadModel); 3] = [
    ("requests", ThreadModel::SerializeRequests),
    ("all-requests", ThreadModel::SerializeAllRequests),
    ("connections", ThreadModel::SerializeConnections),
];

impl Value for Serialize {
    const KIND: &'static str = "requests|all-requests|connections";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let word = values::text(value)?;
        let mode = MODES.iter().find(|(name, _)| *name == word);
        mode.map(|(_, model)| Serialize(*model)).ok_or_else(|| {
            format!(
                "unknown noparallel serialize mode '{word}', should be requests, all-requests or connections"
            )
        })
    }

    fn show(&self) -> String {
        let mode = MODES.iter().find(|(_, model)| *model == self.0);
        mode.map_or_else(String::new, |(name, _)| (*name).to_owned())
    }
}

/// The filter.
#[derive(Default)]
pub struct Noparallel {
    params: Params,
}

impl Filter for Noparallel {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn thread_model(&self, below: ThreadModel) -> ThreadModel {
        self.params.serialize.0.min(below)
    }
}
