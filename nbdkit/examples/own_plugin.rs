// SPDX-License-Identifier: BSD-3-Clause
//! A program with a plugin of its own and the whole command line of nbdkit, filters included:
//! `cargo run --example own_plugin -- counter 1M --filter=delay rdelay=1ms`

use nbdkit_plugin::*;

params! { struct Params {
    /// Size of the disk.
    [magic] "size" => size: Size = Size(1 << 20),
} }

#[derive(Default)]
struct Counter {
    params: Params,
}

impl Plugin for Counter {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.inline(CounterDisk(self.params.size.0))
    }
}

struct CounterDisk(u64);

impl SyncDisk for CounterDisk {
    fn info(&self) -> Result<Info> {
        Ok(Info::read_only(self.0))
    }
    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        buf.iter_mut().zip(offset..).for_each(|(byte, at)| *byte = at as u8);
        Ok(())
    }
}

static COUNTER: PluginEntry = PluginEntry::new::<Counter>("counter", "each byte is its own offset");

fn main() -> std::process::ExitCode {
    nbdkit::main_with(&[&COUNTER], nbdkit::registry::FILTERS)
}
