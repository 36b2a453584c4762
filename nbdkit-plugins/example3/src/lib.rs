// SPDX-License-Identifier: BSD-3-Clause
//! example3: a plugin whose disk can be written. It takes up where example2 ends, and explains what is new.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::*;
use std::{fs::File, os::unix::fs::FileExt};

/// How the plugin is announced, with the operations that it has beyond reading.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<Example3>("example3", "example: a temporary disk for each client").callbacks(&[
        "dump_plugin",
        "pwrite",
        "flush",
    ]);

params! {
    struct Params {
        /// Size of the disk of each client.
        "size" => size: Size = Size(100 << 20),
    }
}

#[derive(Default)]
struct Example3 {
    params: Params,
}

impl Plugin for Example3 {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    /// As in example1.
    fn thread_model(&self) -> ThreadModel {
        ThreadModel::SerializeAllRequests
    }

    /// `req` tells all there is to know when a client opens a disk: which export it asked for, who it is, and whether it
    /// shall only read (`nbdkit -r`).
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let read_only = req.read_only;
        req.blocking(move || Example3Disk::create(self.params.size.0, read_only))
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        vec![("example3_extra", "hello".to_owned())]
    }
}

/// A file without a name: nobody else can open it, and it is gone when the client has left and the disk is dropped, or when
/// the server ends for whatever reason.
struct Example3Disk {
    file: File,
    info: Info,
}

impl Example3Disk {
    fn create(size: u64, read_only: bool) -> Result<Example3Disk> {
        let failed = |error| Error::io(error, format!("temporary file of {size} bytes"));
        let file = tempfile::tempfile().map_err(failed)?;
        // It is all hole now, and takes no space before it is written.
        file.set_len(size).map_err(failed)?;

        // What the disk can do. `Emulate` asks the server to do something with the other operations: `writable` asks so
        // for zeroing, which becomes writing of zeroes; and FUA ("answer when it is on permanent storage") becomes a write
        // with a flush after it. What is not said here, such as trimming, clients do not get.
        let mut info = Info::writable(size);
        info.flush = true;
        info.fua = Support::Emulate;
        if read_only {
            info.without_writing();
        }
        Ok(Example3Disk { file, info })
    }
}

impl SyncDisk for Example3Disk {
    fn info(&self) -> Result<Info> {
        Ok(self.info.clone())
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buf, offset)?;
        Ok(())
    }

    /// Writes all of `data`. `flags` never asks for FUA here, since the server does that. Nor does it let clients write to
    /// a disk that does not say it can be written, but who promises that looks after it.
    fn pwrite(&self, data: &[u8], offset: u64, _flags: Flags) -> Result<()> {
        if !self.info.write {
            return Err(Error::new(EROFS, "the disk was opened to be read only"));
        }
        self.file.write_all_at(data, offset)?;
        Ok(())
    }

    /// Puts all that was written on permanent storage.
    fn flush(&self) -> Result<()> {
        self.file.sync_data()?;
        Ok(())
    }
}
