// SPDX-License-Identifier: BSD-3-Clause
//! Enough of a server to open files and ask for operations.

use async_executor::Executor;
use futures_lite::future::block_on;
use nbdkit_file_plugin::PLUGIN;
use nbdkit_plugin::*;
use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    path::{Path, PathBuf},
};
use tempfile::{TempDir, tempdir_in};

/// A configured plugin.
pub struct Bench(Arc<dyn Plugin>);

struct Silence;

impl LogSink for Silence {
    fn error(&self, _: &str, _: fmt::Arguments<'_>) {}
    fn debug(&self, _: &str, _: fmt::Arguments<'_>) {}
    fn verbose(&self) -> bool {
        false
    }
}

impl Bench {
    pub fn new<V: AsRef<OsStr>>(params: &[(&str, V)]) -> Result<Bench> {
        let mut plugin = (PLUGIN.create)();
        for (key, value) in params {
            assert_eq!(plugin.config(key, value.as_ref())?, Taken::Yes);
        }
        plugin.config_complete()?;
        plugin.get_ready()?;
        Ok(Bench(plugin.into()))
    }

    /// What is said instead of starting.
    pub fn refusal<V: AsRef<OsStr>>(params: &[(&str, V)]) -> String {
        Bench::new(params).err().expect("an error").to_string()
    }

    pub fn of_file(path: &Path) -> Bench {
        Bench::new(&[("file", path)]).unwrap()
    }

    fn request(&self, export: &str) -> OpenRequest {
        let server = Server::new(Arc::new(Executor::new()), Arc::new(Silence));
        OpenRequest::new(&Connection::new(&server, 1, Peer::Other), export)
    }

    pub fn open(&self, export: &str) -> Result<Client> {
        wait(self.0.clone().open(self.request(export))).map(Client)
    }

    pub fn open_read_only(&self, export: &str) -> Result<Client> {
        let mut request = self.request(export);
        request.read_only = true;
        wait(self.0.clone().open(request)).map(Client)
    }

    /// The names of the exports, sorted.
    pub fn list(&self) -> Result<Option<Vec<String>>> {
        let exports = wait(self.0.clone().list_exports(self.request("")))?;
        Ok(exports.map(|exports| {
            let mut names: Vec<_> = exports.into_iter().map(|export| export.name).collect();
            names.sort();
            names
        }))
    }
}

fn wait<T>(op: Op<'_, T>) -> Result<T> {
    block_on(op.into_future())
}

/// An open disk.
pub struct Client(Arc<dyn Disk>);

impl Client {
    pub fn info(&self) -> &Info {
        self.0.info()
    }

    pub fn read(&self, len: u32, offset: u64) -> Result<Vec<u8>> {
        let data = wait(self.0.pread(len, offset))?;
        Ok(wait(data.into_buf(&Pool::new()))?.to_vec())
    }

    /// Whether a read is answered with a hole, so that nothing is read or sent.
    pub fn reads_hole(&self, len: u32, offset: u64) -> bool {
        matches!(wait(self.0.pread(len, offset)).unwrap().runs(), [Run::Zero(_)])
    }

    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        wait(self.0.pwrite(bytes.to_vec().into(), offset, Flags::default()))
    }

    /// Whether a thread would do it; a write that is done at once is done.
    pub fn write_waits(&self, len: usize, offset: u64, fua: bool) -> bool {
        let flags = Flags { fua, ..Flags::default() };
        matches!(self.0.pwrite(vec![0x55; len].into(), offset, flags), Op::Wait(_))
    }

    /// With FUA.
    pub fn write_through(&self, bytes: &[u8], offset: u64) -> Result<()> {
        wait(self.0.pwrite(bytes.to_vec().into(), offset, Flags { fua: true, ..Flags::default() }))
    }

    pub fn zero(&self, offset: u64, len: u64, may_trim: bool) -> Result<()> {
        wait(self.0.zero(Span::new(offset, len), Flags { may_trim, ..Flags::default() }))
    }

    pub fn fast_zero(&self, offset: u64, len: u64) -> Result<()> {
        let flags = Flags { may_trim: true, fast_zero: true, ..Flags::default() };
        wait(self.0.zero(Span::new(offset, len), flags))
    }

    pub fn trim(&self, offset: u64, len: u64) -> Result<()> {
        wait(self.0.trim(Span::new(offset, len), Flags::default()))
    }

    pub fn extents(&self, offset: u64, len: u64, req_one: bool) -> Vec<Extent> {
        let flags = Flags { req_one, ..Flags::default() };
        wait(self.0.extents(Span::new(offset, len), flags)).unwrap().into_iter().collect()
    }

    pub fn cache(&self, offset: u64, len: u64) {
        wait(self.0.cache(Span::new(offset, len))).unwrap();
    }

    pub fn flush(&self) {
        wait(self.0.flush()).unwrap();
    }

    pub fn close(self) {
        wait(self.0.close()).unwrap();
    }
}

/// A directory on a disk file system, not in memory.
pub fn directory() -> TempDir {
    tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A file `name` in `dir` with these bytes.
pub fn make(dir: &TempDir, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A file in `dir` that is one hole.
pub fn make_hole(dir: &TempDir, len: u64) -> PathBuf {
    let path = dir.path().join("hole.img");
    File::create_new(&path).unwrap().set_len(len).unwrap();
    path
}

/// `prefix` and then a path, which need not be UTF-8.
pub fn said(prefix: &str, path: &Path, suffix: &str) -> String {
    let mut text = OsString::from(prefix);
    text.push(path);
    text.push(suffix);
    text.to_string_lossy().into_owned()
}
