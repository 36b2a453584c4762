// SPDX-License-Identifier: BSD-3-Clause
//! [`Host`]: the plugin that asks scripts.

use crate::{
    Scripts,
    answer::{self, Answer},
    call::{Caller, Streams, call},
    disk::ScriptDisk,
    exports,
    tmpdir::TemporaryDirectory,
};
use nbdkit_plugin::*;
use std::{
    borrow::Cow,
    ffi::OsStr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

/// A plugin all of whose methods are scripts.
#[derive(Default)]
pub struct Host<S: Scripts> {
    scripts: S,
    /// Made when the first parameter comes.
    tmpdir: Option<TemporaryDirectory>,
    /// There is a script, and it was told so.
    loaded: bool,
    /// Other processes may have copies of this from now on, and the last word belongs to `cleanup`.
    ready: bool,
    /// What `magic_config_key` said.
    magic: Option<String>,
    model: Option<ThreadModel>,
    /// A script wants the server to end, which does not run yet.
    stop: AtomicBool,
}

/// All there are: any of them may be a script.
pub const CALLBACKS: &[&str] = &[
    "load",
    "unload",
    "dump_plugin",
    "config",
    "config_complete",
    "thread_model",
    "get_ready",
    "after_fork",
    "preconnect",
    "list_exports",
    "default_export",
    "open",
    "close",
    "export_description",
    "get_size",
    "block_size",
    "can_write",
    "can_flush",
    "is_rotational",
    "can_trim",
    "can_zero",
    "can_fast_zero",
    "can_extents",
    "can_fua",
    "can_multi_conn",
    "can_cache",
    "pread",
    "pwrite",
    "flush",
    "trim",
    "zero",
    "extents",
    "cache",
];

/// What a script gets to know as text.
pub(crate) fn word(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}

impl<S: Scripts> Host<S> {
    pub(crate) fn call(
        &self,
        caller: Caller<'_>,
        method: &str,
        args: &[&dyn AsRef<OsStr>],
        streams: Streams<'_>,
    ) -> Result<Answer> {
        // There is one as soon as there is a script.
        let tmpdir = self.tmpdir.as_ref().map_or(Path::new("/tmp"), TemporaryDirectory::path);
        call(caller, self.scripts.find(method), method, args, streams, tmpdir)
    }

    /// Calls a method without arguments on nobody's behalf.
    fn ask(&self, method: &str) -> Result<Answer> {
        self.call(Caller::Startup(&self.stop), method, &[], Streams::default())
    }

    /// The same for a method that is called for what it does.
    fn tell(&self, method: &str) -> Result<()> {
        self.ask(method)?.done(method)
    }

    /// There is a script now.
    fn load(&mut self) -> Result<()> {
        self.loaded = true;
        self.tell("load")?;
        let key = self.ask("magic_config_key")?.line("magic_config_key")?;
        self.magic = key.into_string().ok().filter(|key| !key.is_empty());
        Ok(())
    }

    fn ask_thread_model(&self) -> Result<ThreadModel> {
        let text = self.ask("thread_model")?.output("thread_model")?.unwrap_or_default();
        Ok(answer::thread_model(&text).unwrap_or(ThreadModel::SerializeAllRequests))
    }

    /// Asks for exports with one of the two methods that do that.
    fn exports(&self, method: &str, req: &OpenRequest) -> Result<Option<Vec<Export>>> {
        let args: [&dyn AsRef<OsStr>; 2] = [&word(req.read_only), &word(req.tls)];
        let caller = Caller::Client(&req.connection, req.log());
        let output = self.call(caller, method, &args, Streams::default())?.output(method)?;
        output.map(|text| exports::exports(&text)).transpose()
    }
}

impl<S: Scripts> Plugin for Host<S> {
    fn startup(&mut self, startup: &Startup) {
        self.scripts.startup(startup);
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(self.scripts.params())
    }

    fn config(&mut self, key: &str, value: &OsStr) -> Result<Taken> {
        let tmpdir = match &self.tmpdir {
            Some(tmpdir) => tmpdir,
            None => self.tmpdir.insert(TemporaryDirectory::create()?),
        };
        if self.scripts.config(key, value, tmpdir.path())? == Taken::Yes {
            if !self.loaded {
                self.load()?;
            }
            return Ok(Taken::Yes);
        }
        let caller = Caller::Startup(&self.stop);
        match self.call(caller, "config", &[&key, &value], Streams::default())?.output("config")? {
            Some(_) => Ok(Taken::Yes),
            None => self.scripts.unknown(key),
        }
    }

    fn magic_key(&mut self) -> Option<Cow<'static, str>> {
        if self.loaded {
            return self.magic.clone().map(Cow::Owned);
        }
        let specs = self.scripts.params().specs();
        specs.iter().find(|spec| spec.magic).and_then(|spec| spec.keys.first().copied()).map(Cow::Borrowed)
    }

    fn config_complete(&mut self) -> Result<()> {
        self.scripts.params().complete()?;
        self.tell("config_complete")?;
        self.model = Some(self.ask_thread_model()?);
        Ok(())
    }

    /// Before `config_complete`, `--dump-plugin` asks.
    fn thread_model(&self) -> ThreadModel {
        let asked = || self.ask_thread_model().unwrap_or(ThreadModel::SerializeAllRequests);
        self.model.unwrap_or_else(asked)
    }

    fn get_ready(&mut self) -> Result<()> {
        self.tell("get_ready")?;
        self.ready = true;
        Ok(())
    }

    /// Called where it stands: nobody is served yet who could be kept waiting.
    fn after_fork<'a>(&'a mut self, server: &'a Server) -> Op<'a, ()> {
        if self.stop.load(SeqCst) {
            server.shutdown();
        }
        let answer = self.call(Caller::Server(server), "after_fork", &[], Streams::default());
        let done = answer.and_then(|answer| answer.done("after_fork"));
        // If not there will be no `cleanup`, and other processes are past having a say.
        self.ready = done.is_ok();
        done.into()
    }

    fn preconnect(self: Arc<Self>, connection: Connection) -> Op<'static, ()> {
        Op::blocking(move || {
            let caller = Caller::Client(&connection, connection.log());
            let read_only = word(connection.server().read_only());
            self.call(caller, "preconnect", &[&read_only], Streams::default())?.done("preconnect")
        })
    }

    fn list_exports(self: Arc<Self>, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        Op::blocking(move || self.exports("list_exports", &req))
    }

    fn default_export(self: Arc<Self>, req: OpenRequest) -> Op<'static, Option<String>> {
        Op::blocking(move || {
            let exports = self.exports("default_export", &req)?.unwrap_or_default();
            Ok(Some(exports.into_iter().next().map_or_else(String::new, |first| first.name)))
        })
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let opened = req.clone();
        req.blocking(move || ScriptDisk::open(self, opened))
    }

    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        Op::blocking(move || {
            // Nothing could be done about an error.
            let _ = self.ask("unload");
            if let Some(tmpdir) = &self.tmpdir {
                tmpdir.remove();
            }
            Ok(())
        })
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        // The script's own lines follow as they are: they need not be `key=value`.
        let output = self.ask("dump_plugin").and_then(|answer| answer.line("dump_plugin"));
        let lines = output.unwrap_or_default().to_string_lossy().into_owned();
        let separator = if lines.is_empty() { "" } else { "\n" };
        vec![("max_known_status", format!("{MAX_KNOWN_STATUS}{separator}{lines}"))]
    }
}

/// The highest exit code that means something of its own.
const MAX_KNOWN_STATUS: u8 = 8;

/// A script that was loaded and never served (a wrong parameter, `--dump-plugin`) is told, too.
impl<S: Scripts> Drop for Host<S> {
    fn drop(&mut self) {
        if self.loaded && !self.ready {
            let _ = self.ask("unload");
        }
    }
}
