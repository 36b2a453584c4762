// SPDX-License-Identifier: BSD-3-Clause
//! [`TemporaryDirectory`]: where scripts may keep what they want to remember.

use nbdkit_plugin::{Error, Result};
use std::path::{Path, PathBuf};

/// `/tmp/nbdkitXXXXXX`, for its owner alone. Removed with all that is in it when it is dropped.
pub(crate) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    /// Always below `/tmp`: scripts may rely on a short path without blanks.
    pub(crate) fn create() -> Result<TemporaryDirectory> {
        nix::unistd::mkdtemp("/tmp/nbdkitXXXXXX")
            .map(TemporaryDirectory)
            .map_err(|errno| Error::io(errno.into(), "mkdtemp: /tmp/nbdkitXXXXXX"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it, if it is still there.
    pub(crate) fn remove(&self) {
        // Nobody can be told of a failure here, and none keeps the server from ending.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        self.remove();
    }
}
