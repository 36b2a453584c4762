// SPDX-License-Identifier: BSD-3-Clause
//! [`Filter`]: what stands between the client and a plugin, and how it is announced to the server.

use crate::Next;
use nbdkit_plugin::{
    Arc, Connection, Disk, Export, Layer, Op, OpenRequest, Opened, ParamSet, Result, Server, Startup, Taken,
    ThreadModel, around, layer,
};
use std::ffi::OsStr;

/// Stands between the client and what is behind. Every method passes on by default.
///
/// The life of a filter is that of a [`Plugin`](nbdkit_plugin::Plugin): `&mut self` before the server detaches, then
/// frozen in an [`Arc`].
pub trait Filter: Send + Sync + 'static {
    /// See [`Plugin::startup`](nbdkit_plugin::Plugin::startup).
    fn startup(&mut self, startup: &Startup) {
        let _ = startup;
    }

    /// See [`Plugin::debug_flags`](nbdkit_plugin::Plugin::debug_flags).
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        None
    }

    /// See [`Plugin::params`](nbdkit_plugin::Plugin::params).
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        None
    }

    /// One `key=value` of the command line. The outermost filter is asked first; what none takes goes to the plugin.
    fn config(&mut self, key: &str, value: &OsStr) -> Result<Taken> {
        match self.params() {
            Some(params) => params.set(key, value),
            None => Ok(Taken::No),
        }
    }

    /// See [`Plugin::config_complete`](nbdkit_plugin::Plugin::config_complete).
    fn config_complete(&mut self) -> Result<()> {
        match self.params() {
            Some(params) => params.complete(),
            None => Ok(()),
        }
    }

    /// How much this filter allows at once, given what is allowed behind it. It may only lower that.
    fn thread_model(&self, below: ThreadModel) -> ThreadModel {
        below
    }

    /// See [`Plugin::get_ready`](nbdkit_plugin::Plugin::get_ready).
    fn get_ready(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether there is nothing to serve for any more. Asked once, after all have got ready: the server then ends with
    /// success before it binds, and nobody was ever served.
    fn is_over(&self) -> bool {
        false
    }

    /// The server has detached and changed user; still alone. What is behind has been through it already, and is
    /// cleaned up again if this fails.
    fn after_fork<'a>(&'a mut self, next: &'a Next, server: &'a Server) -> Op<'a, ()> {
        let _ = (next, server);
        Op::ok(())
    }

    /// A client has connected. An error closes the connection.
    fn preconnect(self: Arc<Self>, next: Next, connection: Connection) -> Op<'static, ()> {
        next.preconnect(connection)
    }

    /// What a client may open.
    fn list_exports(self: Arc<Self>, next: Next, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        next.list_exports(req)
    }

    /// Which export is meant by the empty name.
    fn default_export(self: Arc<Self>, next: Next, req: OpenRequest) -> Op<'static, Option<String>> {
        next.default_export(req)
    }

    /// Opens an export: `next.open(req).layer(|disk| Ok(MyLayer { .. }))`.
    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        next.open(req)
    }

    /// The last call: all disks are closed. Only after an `after_fork` that has not failed.
    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        Op::ok(())
    }

    /// Lines `key=value` of its own for `--dump-plugin`.
    fn dump(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// What filters do with an opened disk.
pub trait OpenedExt {
    /// Puts a [`Layer`] in front.
    fn layer<L: Layer>(self, make: impl FnOnce(Arc<dyn Disk>) -> Result<L> + Send + 'static) -> Opened;

    /// Puts an [`Around`](nbdkit_plugin::Around) in front.
    fn around<A: nbdkit_plugin::Around>(
        self,
        make: impl FnOnce(Arc<dyn Disk>) -> Result<A> + Send + 'static,
    ) -> Opened;
}

impl OpenedExt for Opened {
    fn layer<L: Layer>(self, make: impl FnOnce(Arc<dyn Disk>) -> Result<L> + Send + 'static) -> Opened {
        self.map(move |disk| Ok(layer(make(disk)?)))
    }

    fn around<A: nbdkit_plugin::Around>(
        self,
        make: impl FnOnce(Arc<dyn Disk>) -> Result<A> + Send + 'static,
    ) -> Opened {
        self.map(move |disk| Ok(around(make(disk)?)))
    }
}

/// How a filter is announced: `pub static FILTER: FilterEntry = FilterEntry::new::<Offset>("offset", "a window");`
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct FilterEntry {
    /// What it is called on the command line: `[A-Za-z0-9][A-Za-z0-9-]*`.
    pub name: &'static str,
    /// One line, lower case, no full stop.
    pub summary: &'static str,
    /// Makes one.
    pub create: fn() -> Box<dyn Filter>,
}

impl FilterEntry {
    /// A filter that starts from its `Default`.
    pub const fn new<F: Filter + Default>(name: &'static str, summary: &'static str) -> FilterEntry {
        FilterEntry { name, summary, create: || Box::new(F::default()) }
    }
}
