// SPDX-License-Identifier: BSD-3-Clause
//! The multi-conn filter: a flush on one connection is one on all, so that a client may use several.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod alone;
mod exports;
mod modes;
mod together;

use alone::Alone;
use exports::Exports;
use modes::{Mode, Track};
use nbdkit_filter::*;
use together::Together;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<MultiConn>("multi-conn", "lets clients use several connections safely");

params! {
    struct Params {
        /// Whether clients may rely on a flush on one connection being one on all, and who sees to it: the plugin if it
        /// does and else the filter (`auto`), the filter (`emulate`), the plugin (`plugin`), nobody and clients know
        /// (`disable`), or nobody and clients are told otherwise (`unsafe`).
        "multi-conn-mode" => mode: Mode = Mode::Auto,
        /// Which flushes are left out: those of a connection with nothing to flush (`connection`), those while no
        /// connection has (`fast`), or none (`off`).
        "multi-conn-track-dirty" => track: Track = Track::Connection,
        /// Whether only connections that opened the same export are taken together.
        "multi-conn-exportname" | "multi-conn-export-name" => by_name: bool = false,
    }
}

/// The filter.
#[derive(Default)]
pub struct MultiConn {
    params: Params,
    exports: Exports,
}

impl Filter for MultiConn {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let (name, model) = (req.export.clone(), next.thread_model());
        next.open(req).map(move |next| {
            let Params { mode, track, by_name } = self.params;
            let mode = mode.resolve(next.info(), model);
            if mode == Mode::Emulate && !next.info().flush {
                return Err(Error::invalid("emulating multi-conn requires working flush"));
            }
            let export = self.exports.enter(&name, by_name);
            Ok(match mode {
                Mode::Emulate => layer(Together::new(next, export, track)),
                _ => layer(Alone::new(next, export, mode, track)),
            })
        })
    }
}
