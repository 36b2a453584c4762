// SPDX-License-Identifier: BSD-3-Clause
//! Plugins and filters for the tests of this crate.

use crate::{cli::names::Catalogue, components::Components};
use nbdkit_filter::*;
use std::{
    ffi::{OsStr, OsString},
    fmt::Arguments,
    sync::Mutex,
};

/// Keeps what is said.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    /// What was said since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl LogSink for Recorder {
    fn error(&self, who: &str, message: Arguments<'_>) {
        self.0.lock().unwrap().push(format!("error: {who}: {message}"));
    }

    fn debug(&self, who: &str, message: Arguments<'_>) {
        self.0.lock().unwrap().push(format!("{who}: {message}"));
    }

    fn verbose(&self) -> bool {
        true
    }
}

pub(crate) const CATALOGUE: Catalogue<'_> =
    Catalogue { plugins: &[&DISK, &ZERO, &SCRIPT, &KEYED], filters: &[&INNER, &OUTER] };

pub(crate) fn components(plugin: &str, filters: &[&str]) -> Components {
    recorded(plugin, filters).0
}

pub(crate) fn recorded(plugin: &str, filters: &[&str]) -> (Components, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let filters: Vec<OsString> = filters.iter().map(OsString::from).collect();
    let log = Log::new(recorder.clone());
    let components = Components::find(CATALOGUE, plugin.as_ref(), &filters, log);
    (components.unwrap_or_else(|error| panic!("{plugin}: {error}")), recorder)
}

#[derive(Default)]
struct Mode(bool);

impl Value for Mode {
    const KIND: &'static str = "sparse|malloc";

    fn parse(value: &OsStr) -> Result<Self, String> {
        values::one_of(value, &[("sparse", false), ("malloc", true)]).map(Mode)
    }

    fn show(&self) -> String {
        if self.0 { "malloc" } else { "sparse" }.into()
    }
}

params! { struct DiskParams {
    /// How large it is.
    [magic] [required "you must specify size=<SIZE>"]
    "size" => size: Required<Size>,
    /// How it is kept.
    "mode" => mode: Mode,
    /// What it is made of; wrapped over lines because it is so long
    /// that it needs to be.
    ///
    /// A second paragraph.
    "part" | "piece" => parts: Vec<String>,
} }

params! { struct DiskFlags {
    /// Shows its parts.
    "part.sizes" => part_sizes: i32 = 0,
} }

/// All parameters, a thread model of its own, lines of its own.
#[derive(Default)]
struct Disk {
    params: DiskParams,
    flags: DiskFlags,
    ready: bool,
}

static DISK: PluginEntry =
    PluginEntry::new::<Disk>("disk", "a disk for tests").callbacks(&["pwrite", "can_write", "get_ready"]);

impl Plugin for Disk {
    fn startup(&mut self, startup: &Startup) {
        startup.log.debug(format_args!("startup, stdin {}", startup.stdin));
    }

    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.flags)
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn thread_model(&self) -> ThreadModel {
        ThreadModel::SerializeRequests
    }

    fn get_ready(&mut self) -> Result<()> {
        self.ready = true;
        Ok(())
    }

    fn after_fork<'a>(&'a mut self, server: &'a Server) -> Op<'a, ()> {
        let (size, shown) = (self.params.size.0, self.flags.part_sizes);
        server.log().debug(format_args!("disk of {size}, ready {}, shown {shown}", self.ready));
        Op::ok(())
    }

    fn open(self: Arc<Self>, _req: OpenRequest) -> Opened {
        Op::err(Error::unsupported("open"))
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        vec![("disk_extra", format!("{}{}", self.params.mode.show(), self.params.parts.len()))]
    }
}

/// No parameters at all.
#[derive(Default)]
struct Zero;

static ZERO: PluginEntry = PluginEntry::new::<Zero>("zero", "no bytes");

impl Plugin for Zero {
    fn open(self: Arc<Self>, _req: OpenRequest) -> Opened {
        Op::err(Error::unsupported("open"))
    }
}

/// Looks at its parameters itself.
#[derive(Default)]
struct Script(Vec<String>);

static SCRIPT: PluginEntry =
    PluginEntry::new::<Script>("script", "what a script says").callbacks(&["config"]);

impl Plugin for Script {
    fn config(&mut self, key: &str, value: &OsStr) -> Result<Taken> {
        self.0.push(format!("{key}={}", value.display()));
        Ok(if key == "other" { Taken::No } else { Taken::Yes })
    }

    fn open(self: Arc<Self>, _req: OpenRequest) -> Opened {
        Op::err(Error::unsupported("open"))
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        self.0.iter().map(|config| ("config", config.clone())).collect()
    }
}

params! { struct KeyedParams {
    /// What it is called.
    "label" => label: String,
    /// What nobody may know.
    "password" => password: Secret,
} }

/// No magic key.
#[derive(Default)]
struct Keyed(KeyedParams);

static KEYED: PluginEntry = PluginEntry::new::<Keyed>("keyed", "has keys");

impl Plugin for Keyed {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.0)
    }

    fn open(self: Arc<Self>, _req: OpenRequest) -> Opened {
        Op::err(Error::unsupported(&self.0.label))
    }
}

params! { struct OuterParams {
    /// How often.
    "count" => count: u32 = 1,
} }

/// Lowers the thread model when told to.
#[derive(Default)]
struct Outer(OuterParams);

static OUTER: FilterEntry = FilterEntry::new::<Outer>("outer", "counts");

impl Filter for Outer {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.0)
    }

    fn thread_model(&self, below: ThreadModel) -> ThreadModel {
        if self.0.count > 1 { ThreadModel::SerializeConnections } else { below }
    }

    fn after_fork<'a>(&'a mut self, next: &'a Next, server: &'a Server) -> Op<'a, ()> {
        server.log().debug(format_args!("outer over {}", next.thread_model()));
        Op::ok(())
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        vec![("outer_count", self.0.count.to_string())]
    }
}

/// Claims that more is allowed than is.
#[derive(Default)]
struct Inner;

static INNER: FilterEntry = FilterEntry::new::<Inner>("inner", "lets everything pass");

impl Filter for Inner {
    fn thread_model(&self, _below: ThreadModel) -> ThreadModel {
        ThreadModel::Parallel
    }

    fn after_fork<'a>(&'a mut self, next: &'a Next, server: &'a Server) -> Op<'a, ()> {
        server.log().debug(format_args!("inner over {}", next.thread_model()));
        Op::ok(())
    }
}
