// SPDX-License-Identifier: BSD-3-Clause
//! The parameters: one for each method, and what stands in for the others.

use nbdkit_plugin::{Required, params};
use std::ffi::OsString;

params! {
    pub(crate) struct Params {
        /// The server has detached from the terminal.
        "after_fork" => after_fork: Option<OsString>,
        /// Prints the minimum, preferred and maximum block size.
        "block_size" => block_size: Option<OsString>,
        /// Reads ahead.
        "cache" => cache: Option<OsString>,
        /// Prints how caching is done: none, emulate or native.
        "can_cache" => can_cache: Option<OsString>,
        /// Whether it knows extents.
        "can_extents" => can_extents: Option<OsString>,
        /// Whether zeroing is fast or fails at once.
        "can_fast_zero" => can_fast_zero: Option<OsString>,
        /// Whether it can flush.
        "can_flush" => can_flush: Option<OsString>,
        /// Prints how forced unit access is done: none, emulate or native.
        "can_fua" => can_fua: Option<OsString>,
        /// Whether a flush on one connection covers all.
        "can_multi_conn" => can_multi_conn: Option<OsString>,
        /// Whether it can trim.
        "can_trim" => can_trim: Option<OsString>,
        /// Whether it can be written.
        "can_write" => can_write: Option<OsString>,
        /// Whether it can zero.
        "can_zero" => can_zero: Option<OsString>,
        /// A client closes an export.
        "close" => close: Option<OsString>,
        /// Takes parameters that are no methods: key, value.
        "config" => config: Option<OsString>,
        /// All parameters have been given.
        "config_complete" => config_complete: Option<OsString>,
        /// Prints the name of the default export.
        "default_export" => default_export: Option<OsString>,
        /// Prints lines for --dump-plugin.
        "dump_plugin" => dump_plugin: Option<OsString>,
        /// Prints a description of the disk.
        "export_description" => export_description: Option<OsString>,
        /// Prints where the holes are.
        "extents" => extents: Option<OsString>,
        /// Puts what was written on permanent storage.
        "flush" => flush: Option<OsString>,
        /// The last step before the server detaches.
        "get_ready" => get_ready: Option<OsString>,
        /// Prints the size of the disk.
        [required "'get_size' method is required"]
        "get_size" => get_size: Required<OsString>,
        /// Whether seeks cost time.
        "is_rotational" => is_rotational: Option<OsString>,
        /// Prints the exports there are.
        "list_exports" => list_exports: Option<OsString>,
        /// Runs instead of all methods that are not given.
        "missing" => missing: Option<OsString>,
        /// A client opens an export; prints a handle.
        "open" => open: Option<OsString>,
        /// Prints the bytes that are asked for.
        "pread" => pread: Option<OsString>,
        /// A client has connected.
        "preconnect" => preconnect: Option<OsString>,
        /// Writes the bytes on standard input.
        "pwrite" => pwrite: Option<OsString>,
        /// Prints how much may happen at once.
        "thread_model" => thread_model: Option<OsString>,
        /// Forgets a range.
        "trim" => trim: Option<OsString>,
        /// The server ends.
        "unload" => unload: Option<OsString>,
        /// Makes a range read as zeroes.
        "zero" => zero: Option<OsString>,
    }
}
