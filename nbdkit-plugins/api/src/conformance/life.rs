// SPDX-License-Identifier: BSD-3-Clause
//! The life of a plugin: how it is announced, what parameters it takes, and every step from `create` to `cleanup`.

use super::{
    Check,
    stage::{Stage, drive, wait},
    watch::Progress,
};
use crate::{
    Connection, Export, Log, LogSink, OpenRequest, ParamSpec, Peer, Plugin, PluginEntry, Server, Startup,
    Taken,
};
use async_executor::Executor;
use futures_lite::future::block_on;
use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::OsStrExt,
    sync::Arc,
};

/// A plugin and its command line.
pub struct Setup {
    plugin: PluginEntry,
    /// Without a key: for the magic one.
    pub(super) params: Vec<(Option<String>, OsString)>,
    pub(super) any_key: bool,
    pub(super) export: String,
}

/// No plugin knows it.
const UNKNOWN: &str = "no-such-key";
/// The longest string of the protocol, in bytes (NBD specification, "Values").
const LONGEST: usize = 4096;

impl Setup {
    pub(super) fn new(plugin: PluginEntry) -> Setup {
        Setup { plugin, params: Vec::new(), any_key: false, export: String::new() }
    }
}

/// Leads a plugin through its life; `examine` is the time when it serves.
pub(super) fn live(setup: &Setup, progress: &Progress, examine: impl FnOnce(&Stage) -> Check) -> Check {
    progress.note("announcement and parameters");
    announcement(&setup.plugin)?;
    let specs = (setup.plugin.create)().params().map_or_else(Vec::new, |params| params.specs());
    parameters(setup, &specs)?;

    let mut plugin = (setup.plugin.create)();
    plugin.startup(&Startup::new(Log::new(Arc::new(Silence))));
    debug_flags(&mut *plugin)?;
    for (key, value) in &setup.params {
        let key = match key {
            Some(key) => Cow::Borrowed(&**key),
            None => plugin
                .magic_key()
                .ok_or_else(|| format!("value {value:?} has no key, and there is no magic key"))?,
        };
        config(&mut *plugin, &key, value)?;
    }
    step(progress, "config_complete", || plugin.config_complete())?;
    let model = plugin.thread_model();
    step(progress, "get_ready", || plugin.get_ready())?;

    let executor: Arc<Executor<'static>> = Arc::default();
    let server = Server::new(executor.clone(), Arc::new(Silence));
    let driver = drive(move |task| block_on(executor.run(task)));
    step(progress, "after_fork", || wait(&driver, async { plugin.after_fork(&server).await }))?;
    if plugin.thread_model() != model {
        return Err(format!("thread_model was {model}, then {}", plugin.thread_model()));
    }

    let plugin: Arc<dyn Plugin> = plugin.into();
    exports(&plugin, &driver, &server, progress)?;
    let (export, opener, open_driver, host) =
        (setup.export.clone(), plugin.clone(), driver.clone(), server.clone());
    let open = move |read_only, number| {
        let connection = Connection::new(&host, number, Peer::Other);
        wait(&open_driver, async { opener.clone().preconnect(connection.clone()).await })?;
        let mut req = OpenRequest::new(&connection, &export).to("conformance");
        req.read_only = read_only;
        wait(&open_driver, async { opener.clone().open(req).await })
    };
    examine(&Stage { open: Arc::new(open), drive: driver.clone(), model, strict: true })?;
    wait(&driver, server.drained());
    step(progress, "cleanup", || wait(&driver, async { plugin.cleanup().await }))
}

fn step<T>(progress: &Progress, name: &str, run: impl FnOnce() -> crate::Result<T>) -> Check<T> {
    progress.note(name);
    run().map_err(|error| format!("{name}: {error:?}"))
}

fn config(plugin: &mut dyn Plugin, key: &str, value: &OsStr) -> Check {
    match plugin.config(key, value) {
        Ok(Taken::Yes) => Ok(()),
        Ok(Taken::No) => Err(format!("config does not know the key {key}")),
        Err(error) => Err(format!("config {key}={}: {error:?}", value.to_string_lossy())),
    }
}

fn announcement(entry: &PluginEntry) -> Check {
    let PluginEntry { name, summary, .. } = entry;
    let (first, rest) = name.split_at_checked(1).unwrap_or_default();
    let letter = |byte: u8| byte.is_ascii_alphanumeric();
    if !first.bytes().all(letter)
        || first.is_empty()
        || !rest.bytes().all(|byte| letter(byte) || byte == b'-')
    {
        return Err(format!("name {name:?} should be [A-Za-z0-9][A-Za-z0-9-]*"));
    }
    if summary.is_empty() || summary.contains('\n') || summary.ends_with('.') {
        return Err(format!("summary {summary:?} should be one line without a full stop"));
    }
    Ok(())
}

/// Every declared parameter exists, takes its own default, and survives bad values; others are not taken.
fn parameters(setup: &Setup, specs: &[ParamSpec]) -> Check {
    let create = setup.plugin.create;
    if specs.iter().filter(|spec| spec.magic).count() > 1 {
        return Err("more than one parameter is magic".to_owned());
    }
    let mut keys: Vec<&str> = specs.iter().flat_map(|spec| spec.keys).copied().collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() < count {
        return Err(format!("a key is declared twice among {keys:?}"));
    }
    for key in &keys {
        for bad in [&b""[..], b"\xff\xfe", b"-1", b"99999999999999999999"] {
            match create().config(key, OsStr::from_bytes(bad)) {
                Ok(Taken::Yes) => {}
                Ok(Taken::No) => return Err(format!("config does not know its own key {key}")),
                Err(error) => one_line(&format!("config {key}"), &error.to_string())?,
            }
        }
    }
    for spec in specs {
        if let Some(default) = spec.default.as_deref().filter(|default| !default.is_empty()) {
            config(&mut *create(), spec.keys[0], OsStr::new(default))
                .map_err(|report| format!("its own default is refused: {report}"))?;
        }
    }
    if specs.iter().any(|spec| spec.required) {
        match create().config_complete() {
            Ok(()) => return Err("config_complete does not miss the required parameters".to_owned()),
            Err(error) => one_line("config_complete", &error.to_string())?,
        }
    }
    match create().config(UNKNOWN, OsStr::new("1")) {
        Ok(Taken::No) => Ok(()),
        _ if setup.any_key => Ok(()),
        Ok(Taken::Yes) => Err(format!("config takes the unknown key {UNKNOWN}")),
        Err(error) => Err(format!("config {UNKNOWN}=1 should answer Taken::No, not an error: {error:?}")),
    }
}

/// Every debug flag takes a number, and nothing else is one.
fn debug_flags(plugin: &mut dyn Plugin) -> Check {
    let Some(flags) = plugin.debug_flags() else { return Ok(()) };
    for spec in flags.specs() {
        match flags.set(spec.keys[0], OsStr::new("1")) {
            Ok(Taken::Yes) => {}
            answer => return Err(format!("debug flag {} does not take 1: {answer:?}", spec.keys[0])),
        }
    }
    match flags.set(UNKNOWN, OsStr::new("1")) {
        Ok(Taken::No) => Ok(()),
        answer => Err(format!("the unknown debug flag {UNKNOWN} is answered with {answer:?}")),
    }
}

fn one_line(what: &str, message: &str) -> Check {
    match message.lines().count() {
        1 => Ok(()),
        _ => Err(format!("{what}: the error message {message:?} should be one line")),
    }
}

/// The list of exports is one that the protocol can carry.
fn exports(
    plugin: &Arc<dyn Plugin>,
    driver: &super::stage::Drive,
    server: &Server,
    progress: &Progress,
) -> Check {
    let req = || OpenRequest::new(&Connection::new(server, 0, Peer::Other), "");
    let list =
        step(progress, "list_exports", || wait(driver, async { plugin.clone().list_exports(req()).await }))?;
    for Export { name, description } in list.into_iter().flatten() {
        if name.len() > LONGEST || description.is_some_and(|text| text.len() > LONGEST) {
            return Err(format!(
                "list_exports: name or description of {name:?} is longer than {LONGEST} bytes"
            ));
        }
    }
    let default = step(progress, "default_export", || {
        wait(driver, async { plugin.clone().default_export(req()).await })
    })?;
    match default {
        Some(name) if name.len() > LONGEST => {
            Err(format!("default_export: {} bytes are too long", name.len()))
        }
        _ => Ok(()),
    }
}

struct Silence;

impl LogSink for Silence {
    fn error(&self, _: &str, _: fmt::Arguments<'_>) {}
    fn debug(&self, _: &str, _: fmt::Arguments<'_>) {}
    fn verbose(&self) -> bool {
        // So that the plugin formats its messages, and whatever is wrong in that comes out.
        true
    }
}
