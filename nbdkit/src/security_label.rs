// SPDX-License-Identifier: BSD-3-Clause
//! `--selinux-label`: the label of the sockets that clients connect to.

use nbdkit_plugin::{Error, Result};
use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

/// What a thread writes here becomes the label of the sockets it makes (libselinux: setsockcreatecon(3)).
const SOCKCREATE: &str = "/proc/thread-self/attr/sockcreate";

/// Runs `bind`, whose sockets get `label`.
pub fn labelled<T>(label: Option<&OsStr>, bind: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(label) = label else { return bind() };
    let set = |label: &[u8]| {
        fs::write(SOCKCREATE, label)
            .map_err(|error| Error::io(error, "selinux-label: setsockcreatecon (is SELinux enabled?)"))
    };
    set(&[label.as_bytes(), b"\0"].concat())?;
    let bound = bind();
    set(b"")?;
    bound
}
