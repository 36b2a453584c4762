// SPDX-License-Identifier: BSD-3-Clause
//! A server inside another program, without any command line: `cargo run --example embedded -- /tmp/socket`

use nbdkit_plugin::*;

struct Greeting;

impl Plugin for Greeting {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.inline(GreetingDisk)
    }
}

struct GreetingDisk;

impl SyncDisk for GreetingDisk {
    fn info(&self) -> Result<Info> {
        Ok(Info::read_only(512))
    }
    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let text = b"Hello from inside.\n";
        buf.iter_mut().zip(offset as usize..).for_each(|(byte, at)| *byte = *text.get(at).unwrap_or(&0));
        Ok(())
    }
}

fn main() -> Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| Error::invalid("usage: embedded SOCKET"))?;
    let running = nbdkit::embed::Embedded::new("greeting", Greeting).unix(&path)?;
    println!("serving at {path} until standard input ends");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    running.stop()
}
