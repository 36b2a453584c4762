// SPDX-License-Identifier: BSD-3-Clause
//! The zero plugin: an empty disk of size 0.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::*;

/// How the plugin is announced.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<Zero>("zero", "an empty disk of size 0").callbacks(&["can_multi_conn", "can_cache"]);

#[derive(Default)]
struct Zero;

impl Plugin for Zero {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.inline(ZeroDisk)
    }
}

struct ZeroDisk;

impl SyncDisk for ZeroDisk {
    fn info(&self) -> Result<Info> {
        let mut info = Info::read_only(0);
        (info.multi_conn, info.cache) = (true, Support::Native);
        Ok(info)
    }

    /// Never called: no byte is within the disk.
    fn pread(&self, buf: &mut [u8], _offset: u64) -> Result<()> {
        buf.fill(0);
        Ok(())
    }

    fn cache(&self, _span: Span) -> Result<()> {
        Ok(())
    }
}
