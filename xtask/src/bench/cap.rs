// SPDX-License-Identifier: BSD-3-Clause
//! [`Cap`]: socket buffers that cannot be made larger than many distributions allow.

use std::fs;

use crate::process::{Context, Result};

const SETTING: &str = "/proc/sys/net/core/wmem_max";
/// The kernel's own default.
const USUAL: &str = "212992";

/// As long as it lives, the whole machine has this limit: there is none of a network namespace.
pub struct Cap {
    before: String,
}

impl Cap {
    /// Fails for whoever is not root.
    pub fn set() -> Result<Cap> {
        let before = fs::read_to_string(SETTING).context(SETTING)?;
        fs::write(SETTING, USUAL).context(SETTING)?;
        Ok(Cap { before })
    }
}

impl Drop for Cap {
    fn drop(&mut self) {
        if let Err(why) = fs::write(SETTING, &self.before) {
            eprintln!("{SETTING} stays {USUAL}, it was {}: {why}", self.before.trim());
        }
    }
}
