// SPDX-License-Identifier: BSD-3-Clause
//! example2: a plugin with a parameter, which serves a file. It takes up where example1 ends, and explains what is new.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::*;
use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// How the plugin is announced. `nbdkit --dump-plugin` tells what a plugin can do, and that is what this list is for:
/// here, that there is a `dump` below.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<Example2>("example2", "example: a file, read only").callbacks(&["dump_plugin"]);

// The parameters of the plugin, each with its doc comment, its key on the command line, and a field with a type. The type
// says how values are parsed: a `PathBuf` is made absolute, a `Size` knows `10M`, a `bool` knows `yes`, and so on. In
// `Required` it must be given, in `Option` it may be missing, in `Vec` it may repeat. Errors, `--help` and the completion
// of shells are made from this as well.
params! {
    struct Params {
        /// The file to serve.
        [required "you must supply the file=<FILENAME> parameter after the plugin name on the command line"]
        "file" => file: Required<PathBuf>,
    }
}

// Debug flags are declared in the same way. `nbdkit -v -D example2.extra=1` sets this one.
params! {
    struct DebugFlags {
        /// Tells of every read.
        "extra" => extra: i32 = 0,
    }
}

#[derive(Default)]
struct Example2 {
    params: Params,
    debug: DebugFlags,
}

impl Plugin for Example2 {
    /// The server asks for the parameters, and fills them in before it opens any disk.
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    /// The same for the debug flags.
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    /// As in example1.
    fn thread_model(&self) -> ThreadModel {
        ThreadModel::SerializeAllRequests
    }

    /// Files can make a thread sleep, and a thread of the server has many clients to look after. So the disk is not
    /// opened here, but in a closure that runs on another thread, and so will all calls of the disk: that is `blocking`.
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        // The log is for the operator. This message can be seen with `nbdkit -v`, and costs nothing without.
        req.log().debug(format_args!("opening {}", self.params.file.display()));
        let log = (self.debug.extra != 0).then(|| req.log().clone());
        req.blocking(move || Example2Disk::open(&self.params.file, log))
    }

    /// Lines that `nbdkit --dump-plugin` adds to what it knows itself. Scripts use them to find out about a plugin.
    fn dump(&self) -> Vec<(&'static str, String)> {
        vec![("example2_extra", "hello".to_owned())]
    }
}

/// What a client has opened: each has the file open for itself. It is closed when the disk is dropped.
struct Example2Disk {
    file: File,
    size: u64,
    /// Where reads are told, if they are.
    log: Option<Log>,
}

impl Example2Disk {
    /// An error says what it is about. `Error::io` puts that in front of what the system says, as in `disk.img: No such
    /// file or directory`. It keeps the errno of the system, which is all that NBD tells a client.
    fn open(path: &Path, log: Option<Log>) -> Result<Example2Disk> {
        let failed = |error| Error::io(error, path.display().to_string());
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok(Example2Disk { file, size, log })
    }
}

impl SyncDisk for Example2Disk {
    fn info(&self) -> Result<Info> {
        Ok(Info::read_only(self.size))
    }

    /// Now the client gets an error if the file fails, or is shorter than it was. `?` turns errors of the standard library
    /// into those of the API.
    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        if let Some(log) = &self.log {
            log.debug(format_args!("reading {} bytes at offset {offset}", buf.len()));
        }
        self.file.read_exact_at(buf, offset)?;
        Ok(())
    }
}
