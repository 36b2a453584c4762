// SPDX-License-Identifier: BSD-3-Clause
//! The curl plugin: says here what it does.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::*;

/// How the plugin is announced.
pub static PLUGIN: PluginEntry = PluginEntry::new::<Curl>("curl", "says here what it does");

params! {
    struct Params {
        /// Size of the disk.
        [magic] "size" => size: Size = Size(0),
    }
}

#[derive(Default)]
struct Curl {
    params: Params,
}

impl Plugin for Curl {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        // `inline` is for code that never sleeps. What may sleep goes through `req.blocking(move || Ok(disk))`,
        // and a `Disk` with operations of its own kind through `req.ready(disk)`.
        req.inline(CurlDisk { size: self.params.size.0 })
    }
}

struct CurlDisk {
    size: u64,
}

impl SyncDisk for CurlDisk {
    fn info(&self) -> Result<Info> {
        Ok(Info::read_only(self.size))
    }

    fn pread(&self, buf: &mut [u8], _offset: u64) -> Result<()> {
        buf.fill(0xff);
        Ok(())
    }
}
