// SPDX-License-Identifier: BSD-3-Clause
//! example1: the smallest plugin, to be read by those who want to write one.
//!
//! Read it from the top; then go on with example2, which has a parameter and opens a file, and example3, whose disk can
//! be written.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// Everything that a plugin needs is in this one crate, and made to be imported as a whole.
use nbdkit_plugin::*;

/// What the disk begins with. Any bytes would do: those of a file, with `include_bytes!("disk.img")`, for instance.
static IMAGE: &[u8] = b"\
    This disk is part of the program that serves it.\n\
    After these two lines come zeroes, up to 100 megabytes.\n";

/// How large the disk is, in bytes.
const SIZE: u64 = 100 << 20;

/// How the plugin is announced to the server: its name on the command line and one line that says what it does. The
/// server has a list of these; nothing else of a plugin needs to be public.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<Example1>("example1", "example: the smallest plugin, an image that is part of it");

/// The plugin. There is one of it for as long as the server runs. It is made with `Default` and then given its
/// parameters, but this one has none: the server refuses any that a user tries.
#[derive(Default)]
struct Example1;

impl Plugin for Example1 {
    /// How much may happen at once. Without this method it is all that clients like (`Parallel`), which is what most
    /// plugins want, and this one could have: Rust sees to it that a disk can be used by several threads, or does not
    /// compile it. The example shows how to be careful: here, one request at a time.
    fn thread_model(&self) -> ThreadModel {
        ThreadModel::SerializeAllRequests
    }

    /// Called for each client. It answers with a disk, and says how that is run: `inline` is for code that never
    /// sleeps, such as this, which only copies memory.
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.inline(Example1Disk)
    }
}

/// What a client has opened. It is dropped when the client has left. Things that belong to one client go in here.
struct Example1Disk;

/// The two methods that every disk has. There are more, for disks that can do more.
impl SyncDisk for Example1Disk {
    /// Asked once: how large the disk is and what it can do. Nothing but being read, in this case.
    fn info(&self) -> Result<Info> {
        Ok(Info::read_only(SIZE))
    }

    /// Fills all of `buf` with what is at `offset` on the disk. The server has checked that it is all within the disk.
    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let image = IMAGE.get(offset as usize..).unwrap_or_default();
        let len = image.len().min(buf.len());
        buf[..len].copy_from_slice(&image[..len]);
        // `buf` may have old bytes of the same client in it: all of it must be filled.
        buf[len..].fill(0);
        Ok(())
    }
}
