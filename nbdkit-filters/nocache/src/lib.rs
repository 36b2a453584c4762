// SPDX-License-Identifier: BSD-3-Clause
//! The nocache filter: hides cache requests, turns them into reads, or ignores them.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;
use std::ffi::OsStr;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Nocache>("nocache", "hides or ignores cache requests");

params! {
    struct Params {
        /// What becomes of cache requests: clients cannot make them (`none`), they are done by reading (`emulate`), or
        /// they succeed and do nothing (`nop`).
        "cache-mode" | "cachemode" => mode: Mode = Mode::None,
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Mode {
    None,
    Emulate,
    Nop,
}

const MODES: [(&str, Mode); 3] = [("none", Mode::None), ("emulate", Mode::Emulate), ("nop", Mode::Nop)];

impl Value for Mode {
    const KIND: &'static str = "none|emulate|nop";

    fn parse(value: &OsStr) -> Result<Self, String> {
        values::one_of(value, &MODES)
    }

    fn show(&self) -> String {
        MODES.iter().find(|(_, mode)| mode == self).map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

/// The filter.
#[derive(Default)]
pub struct Nocache {
    params: Params,
}

impl Filter for Nocache {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let mode = self.params.mode;
        next.open(req).layer(move |next| {
            let cache = match mode {
                Mode::None => Support::None,
                // Whoever opens us arranges that: then no cache request comes this far.
                Mode::Emulate => Support::Emulate,
                Mode::Nop => Support::Native,
            };
            let info = next.info().with(|info| info.cache = cache);
            Ok(Uncached { next, info, mode })
        })
    }
}

struct Uncached {
    next: Arc<dyn Disk>,
    info: Info,
    mode: Mode,
}

impl Layer for Uncached {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn cache(&self, _: Span) -> Op<'_, ()> {
        match self.mode {
            Mode::Nop => Op::ok(()),
            Mode::None | Mode::Emulate => Op::err(Error::unsupported("cache")),
        }
    }
}
