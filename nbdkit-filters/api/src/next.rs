// SPDX-License-Identifier: BSD-3-Clause
//! [`Next`]: what is behind a filter, which may be opened again and again.

use crate::{Filter, gate::Gates, ground::ground};
use nbdkit_plugin::{Arc, Connection, Emulate, Export, Op, OpenRequest, Opened, Plugin, ThreadModel};

/// What is behind a filter: the chain of other filters down to the plugin. Cheap to clone.
#[derive(Clone)]
pub struct Next {
    below: Arc<dyn Below>,
    model: ThreadModel,
}

/// One component of a chain. The server puts its own between those of plugins and filters.
pub trait Below: Send + Sync + 'static {
    /// See [`Plugin::preconnect`].
    fn preconnect(&self, connection: Connection) -> Op<'static, ()>;
    /// See [`Plugin::list_exports`].
    fn list_exports(&self, req: OpenRequest) -> Op<'static, Option<Vec<Export>>>;
    /// See [`Plugin::default_export`].
    fn default_export(&self, req: OpenRequest) -> Op<'static, Option<String>>;
    /// See [`Plugin::open`].
    fn open(&self, req: OpenRequest) -> Opened;
    /// See [`Plugin::cleanup`], from the component nearest to the client down to the plugin.
    fn cleanup(&self) -> Op<'static, ()>;
}

impl Next {
    /// The end of a chain. A gate keeps its [`ThreadModel`].
    pub fn plugin(name: &'static str, plugin: Arc<dyn Plugin>) -> Next {
        let model = plugin.thread_model();
        Next::over(Bottom { name, plugin, gates: Gates::new(model) }, model)
    }

    /// `filter` in front of `below`. If it allows less than `below` does, a gate keeps that.
    pub fn filter(name: &'static str, filter: Arc<dyn Filter>, below: Next) -> Next {
        let model = filter.thread_model(below.model).min(below.model);
        let gates = Gates::new(if model < below.model { model } else { ThreadModel::Parallel });
        Next::over(Floor { name, filter, below, gates }, model)
    }

    /// Any other component, which allows this much at once.
    pub fn over(below: impl Below, model: ThreadModel) -> Next {
        Next { below: Arc::new(below), model }
    }

    /// How much may happen at once in this chain.
    pub fn thread_model(&self) -> ThreadModel {
        self.model
    }

    /// A client has connected.
    pub fn preconnect(&self, connection: Connection) -> Op<'static, ()> {
        self.below.preconnect(connection)
    }

    /// What a client may open. `None`: just the default export.
    pub fn list_exports(&self, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        self.below.list_exports(req)
    }

    /// Which export is meant by the empty name.
    pub fn default_export(&self, req: OpenRequest) -> Op<'static, Option<String>> {
        self.below.default_export(req)
    }

    /// Opens an export. What the disk asks to have emulated is; a disk that is dropped without `close` (an error on
    /// the way up) is closed all the same.
    pub fn open(&self, req: OpenRequest) -> Opened {
        let pool = req.pool();
        self.below.open(req).map(move |disk| Ok(Emulate::around(disk, &pool)))
    }

    /// Every component of the chain cleans up, the one nearest to the client first.
    pub fn cleanup(&self) -> Op<'static, ()> {
        self.below.cleanup()
    }
}

struct Bottom {
    name: &'static str,
    plugin: Arc<dyn Plugin>,
    gates: Gates,
}

impl Below for Bottom {
    fn preconnect(&self, connection: Connection) -> Op<'static, ()> {
        self.plugin.clone().preconnect(connection)
    }

    fn list_exports(&self, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        let (plugin, req) = (self.plugin.clone(), req.to(self.name));
        self.gates.once(move || plugin.list_exports(req))
    }

    fn default_export(&self, req: OpenRequest) -> Op<'static, Option<String>> {
        let (plugin, req) = (self.plugin.clone(), req.to(self.name));
        self.gates.once(move || plugin.default_export(req))
    }

    fn open(&self, req: OpenRequest) -> Opened {
        let server = req.connection.server().clone();
        let plugin = self.plugin.clone();
        let name = self.name;
        self.gates.open(move || plugin.open(req.to(name))).map(move |disk| Ok(ground(disk, server)))
    }

    fn cleanup(&self) -> Op<'static, ()> {
        self.plugin.clone().cleanup()
    }
}

struct Floor {
    name: &'static str,
    filter: Arc<dyn Filter>,
    below: Next,
    gates: Gates,
}

impl Below for Floor {
    fn preconnect(&self, connection: Connection) -> Op<'static, ()> {
        self.filter.clone().preconnect(self.below.clone(), connection)
    }

    fn list_exports(&self, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        let (filter, below, req) = (self.filter.clone(), self.below.clone(), req.to(self.name));
        self.gates.once(move || filter.list_exports(below, req))
    }

    fn default_export(&self, req: OpenRequest) -> Op<'static, Option<String>> {
        let (filter, below, req) = (self.filter.clone(), self.below.clone(), req.to(self.name));
        self.gates.once(move || filter.default_export(below, req))
    }

    fn open(&self, req: OpenRequest) -> Opened {
        let (filter, below, name) = (self.filter.clone(), self.below.clone(), self.name);
        self.gates.open(move || filter.open(below, req.to(name)))
    }

    fn cleanup(&self) -> Op<'static, ()> {
        let below = self.below.clone();
        self.filter
            .clone()
            .cleanup()
            .then(move |mine| below.cleanup().then(move |theirs| mine.and(theirs).into()))
    }
}
