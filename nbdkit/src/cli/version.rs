// SPDX-License-Identifier: BSD-3-Clause
//! Which nbdkit this is.
//!
//! Scripts and other programs compare the version to find out what they may use, so it is that of the interface we
//! implement. Our own stands beside it.

use crate::components::Components;
use std::fmt::Write;

/// The command line, the plugins and the filters are those of this nbdkit: major, minor, micro.
pub const INTERFACE: (u32, u32, u32) = (1, 48, 0);

/// [`INTERFACE`] as text.
pub const VERSION: &str = "1.48.0";

/// Whose nbdkit it is, and its own version.
pub const EXTRA: &str = concat!("rust ", env!("CARGO_PKG_VERSION"));

/// What `--version` says: the server, then each component, from the client down to the plugin.
pub fn version(components: Option<&Components>) -> String {
    let mut text = format!("nbdkit {VERSION} ({EXTRA})\n");
    for name in components.iter().flat_map(|components| components.names()) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name} {VERSION}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::components;

    #[test]
    fn one_version() {
        let (major, minor, micro) = INTERFACE;
        assert_eq!(VERSION, format!("{major}.{minor}.{micro}"));
        let server = format!("nbdkit 1.48.0 (rust {})\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(version(None), server);
        let components = components("disk", &["outer", "inner"]);
        assert_eq!(version(Some(&components)), format!("{server}outer 1.48.0\ninner 1.48.0\ndisk 1.48.0\n"));
    }
}
