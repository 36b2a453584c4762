// SPDX-License-Identifier: BSD-3-Clause
//! [`Plugin`]: a source of disks, and how it is announced to the server.

use crate::{Connection, Disk, Error, Op, OpenRequest, ParamSet, Result, Server, Startup};
use std::{borrow::Cow, ffi::OsStr, fmt, str::FromStr, sync::Arc};

/// What `open` answers.
pub type Opened = Op<'static, Arc<dyn Disk>>;

/// How much may happen at once. From the most careful to the freest, so that `min` combines two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ThreadModel {
    /// One client at a time.
    SerializeConnections,
    /// Many clients, one request at a time among all of them.
    SerializeAllRequests,
    /// One request at a time on each connection.
    SerializeRequests,
    /// Anything goes.
    Parallel,
}

impl ThreadModel {
    /// As it appears on the command line and in `--dump-plugin`.
    pub fn name(self) -> &'static str {
        match self {
            ThreadModel::SerializeConnections => "serialize_connections",
            ThreadModel::SerializeAllRequests => "serialize_all_requests",
            ThreadModel::SerializeRequests => "serialize_requests",
            ThreadModel::Parallel => "parallel",
        }
    }
}

impl fmt::Display for ThreadModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ThreadModel {
    type Err = Error;

    fn from_str(name: &str) -> Result<ThreadModel> {
        use ThreadModel::*;
        [SerializeConnections, SerializeAllRequests, SerializeRequests, Parallel]
            .into_iter()
            .find(|model| model.name() == name.replace('-', "_"))
            .ok_or_else(|| Error::invalid(format!("unknown thread model '{name}', should be serialize_connections, serialize_all_requests, serialize_requests or parallel")))
    }
}

/// Whether a parameter was for this component.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It was.
    Yes,
    /// Not mine: ask the next one.
    No,
}

/// One entry of the list that a client may ask for (`NBD_OPT_LIST`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// Name; at most 4096 bytes.
    pub name: String,
    /// For people; at most 4096 bytes.
    pub description: Option<String>,
}

impl Export {
    /// Without a description.
    pub fn new(name: impl Into<String>) -> Export {
        Export { name: name.into(), description: None }
    }
}

/// A source of disks: one per process.
///
/// The first methods run before the server detaches from its terminal: one thread, `&mut self`, no runtime yet.
/// After that the plugin is frozen in an [`Arc`] and every method owns it, so that any of them may move to another
/// thread.
pub trait Plugin: Send + Sync + 'static {
    /// The very first call: what the process is like. What is needed of it is kept.
    fn startup(&mut self, startup: &Startup) {
        let _ = startup;
    }

    /// What `-D NAME.FLAG=N` sets, declared like parameters (see [`params!`](crate::params!)); values are `i32`. All
    /// of them are set before the first parameter comes. They change what is said, never what is done.
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        None
    }

    /// The declared parameters (see [`params!`](crate::params!)); `config` and `config_complete` act on them.
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        None
    }

    /// One `key=value` of the command line, in order. Values are bytes, not necessarily UTF-8.
    fn config(&mut self, key: &str, value: &OsStr) -> Result<Taken> {
        match self.params() {
            Some(params) => params.set(key, value),
            None => Ok(Taken::No),
        }
    }

    /// Which key a value without one is for. Asked anew for each of them, because it may depend on what was given
    /// before; by default the declared parameter that is magic.
    fn magic_key(&mut self) -> Option<Cow<'static, str>> {
        let specs = self.params()?.specs();
        specs.iter().find(|spec| spec.magic).and_then(|spec| spec.keys.first().copied()).map(Cow::Borrowed)
    }

    /// All parameters have been given: is everything there?
    fn config_complete(&mut self) -> Result<()> {
        match self.params() {
            Some(params) => params.complete(),
            None => Ok(()),
        }
    }

    /// How much may happen at once. Asked after `config_complete`.
    fn thread_model(&self) -> ThreadModel {
        ThreadModel::Parallel
    }

    /// The last step that can fail in sight of the user: open what must be open. Paths are still relative to the
    /// user's directory here, and not later.
    fn get_ready(&mut self) -> Result<()> {
        Ok(())
    }

    /// The server has detached and changed user; still alone, so that what is made here is a plain field.
    fn after_fork<'a>(&'a mut self, server: &'a Server) -> Op<'a, ()> {
        let _ = server;
        Op::ok(())
    }

    /// A client has connected and nothing was said yet. An error closes the connection.
    fn preconnect(self: Arc<Self>, connection: Connection) -> Op<'static, ()> {
        let _ = connection;
        Op::ok(())
    }

    /// What a client may open. `None`: just the default export.
    fn list_exports(self: Arc<Self>, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        let _ = req;
        Op::ok(None)
    }

    /// Which export is meant by the empty name; `None` if it means none.
    fn default_export(self: Arc<Self>, req: OpenRequest) -> Op<'static, Option<String>> {
        let _ = req;
        Op::ok(Some(String::new()))
    }

    /// Opens an export for a client.
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened;

    /// The last call: all disks are closed.
    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        Op::ok(())
    }

    /// Lines `key=value` of its own for `--dump-plugin`.
    fn dump(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// How a plugin is announced: `pub static PLUGIN: PluginEntry = PluginEntry::new::<Memory>("memory", "a disk in RAM");`
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PluginEntry {
    /// What it is called on the command line: `[A-Za-z0-9][A-Za-z0-9-]*`.
    pub name: &'static str,
    /// One line, lower case, no full stop.
    pub summary: &'static str,
    /// The callbacks beyond `open`, `get_size` and `pread`, for `--dump-plugin` (`has_pwrite=1` ...).
    pub callbacks: &'static [&'static str],
    /// The most that [`thread_model`](Plugin::thread_model) may answer, where that depends on parameters, for
    /// `--dump-plugin`.
    pub max_thread_model: Option<ThreadModel>,
    /// Makes one.
    pub create: fn() -> Box<dyn Plugin>,
}

impl PluginEntry {
    /// A plugin that starts from its `Default`.
    pub const fn new<P: Plugin + Default>(name: &'static str, summary: &'static str) -> PluginEntry {
        PluginEntry {
            name,
            summary,
            callbacks: &[],
            max_thread_model: None,
            create: || Box::new(P::default()),
        }
    }

    /// The same with its list of callbacks.
    pub const fn callbacks(self, callbacks: &'static [&'static str]) -> PluginEntry {
        PluginEntry { callbacks, ..self }
    }

    /// The same with the most that its thread model may be.
    pub const fn max_thread_model(self, model: ThreadModel) -> PluginEntry {
        PluginEntry { max_thread_model: Some(model), ..self }
    }
}
