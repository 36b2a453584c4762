// SPDX-License-Identifier: BSD-3-Clause
//! Enough of a server to let scripts live.

use async_executor::Executor;
use futures_lite::future::block_on;
use nbdkit_plugin::*;
use nbdkit_sh_plugin::PLUGIN;
use std::{
    fmt, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A script in a directory of its own. It may find that as `$dir`, and writes down its arguments, each in brackets.
pub struct Script {
    dir: TempDir,
    pub path: PathBuf,
}

impl Script {
    /// `body` is what comes between `case $1 in` and `*) exit 2 ;; esac`.
    pub fn new(body: &str) -> Script {
        Script::whole(
            "script",
            &format!(
                "#!/bin/sh\ndir=${{0%/*}}; echo \"$tmpdir\" > $dir/tmpdir\n\
                 for word; do printf '[%s]' \"$word\"; done >> $dir/log; echo >> $dir/log\n\
                 case \"$1\" in\n{body}\n*) exit 2 ;;\nesac"
            ),
        )
    }

    /// A file called `name`, just as it is.
    pub fn whole(name: &str, text: &str) -> Script {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(name);
        // By another process: one that another test starts at this moment would have the file open for writing, and
        // what is open for writing is not executed.
        let mut writer = Command::new("/bin/sh")
            .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        Script { dir, path }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What it was asked so far.
    pub fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.file("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// The temporary directory that it was given.
    pub fn tmpdir(&self) -> PathBuf {
        fs::read_to_string(self.file("tmpdir")).unwrap().trim().into()
    }
}

pub fn silent_server() -> Server {
    Server::new(Arc::new(Executor::new()), Arc::new(Silence))
}

struct Silence;

impl LogSink for Silence {
    fn error(&self, _: &str, _: fmt::Arguments<'_>) {}
    fn debug(&self, _: &str, _: fmt::Arguments<'_>) {}
    fn verbose(&self) -> bool {
        true
    }
}

pub fn wait<T>(op: Op<'_, T>) -> Result<T> {
    block_on(op.into_future())
}

/// A plugin that was given `path` and parameters.
pub fn configured(path: &Path, params: &[(&str, &str)]) -> Result<Box<dyn Plugin>> {
    let mut plugin = (PLUGIN.create)();
    assert_eq!(plugin.config("script", path.as_os_str())?, Taken::Yes);
    for (key, value) in params {
        assert_eq!(plugin.config(key, value.as_ref())?, Taken::Yes);
    }
    Ok(plugin)
}

/// A plugin that serves.
pub struct Bench {
    pub plugin: Arc<dyn Plugin>,
    pub server: Server,
    /// Kept as long as it may be run.
    script: Option<Script>,
}

impl Bench {
    pub fn new(script: &Script) -> Result<Bench> {
        Bench::ready(configured(&script.path, &[])?)
    }

    /// With a script of its own.
    pub fn of(body: &str) -> Bench {
        let script = Script::new(body);
        let mut bench = Bench::new(&script).unwrap();
        bench.script = Some(script);
        bench
    }

    pub fn ready(mut plugin: Box<dyn Plugin>) -> Result<Bench> {
        plugin.config_complete()?;
        plugin.get_ready()?;
        let server = silent_server();
        wait(plugin.after_fork(&server))?;
        Ok(Bench { plugin: plugin.into(), server, script: None })
    }

    pub fn request(&self, export: &str) -> OpenRequest {
        OpenRequest::new(&Connection::new(&self.server, 1, Peer::Other), export)
    }

    pub fn open(&self) -> Result<Client> {
        self.open_as(self.request(""))
    }

    pub fn open_as(&self, req: OpenRequest) -> Result<Client> {
        let connection = req.connection.clone();
        wait(self.plugin.clone().open(req)).map(|disk| Client { disk, connection })
    }

    pub fn cleanup(self) {
        wait(self.plugin.cleanup()).unwrap();
    }
}

/// An open disk.
pub struct Client {
    pub disk: Arc<dyn Disk>,
    pub connection: Connection,
}

impl Client {
    pub fn read(&self, len: u32, offset: u64) -> Result<Vec<u8>> {
        let data = wait(self.disk.pread(len, offset))?;
        Ok(wait(data.into_buf(&Pool::new()))?.to_vec())
    }

    pub fn write(&self, bytes: &[u8], offset: u64, flags: Flags) -> Result<()> {
        wait(self.disk.pwrite(bytes.to_vec().into(), offset, flags))
    }

    pub fn zero(&self, flags: Flags) -> Result<()> {
        wait(self.disk.zero(Span::new(4096, 512), flags))
    }

    pub fn extents(&self, offset: u64, len: u64, flags: Flags) -> Result<Extents> {
        wait(self.disk.extents(Span::new(offset, len), flags))
    }
}
