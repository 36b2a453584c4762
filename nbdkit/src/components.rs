// SPDX-License-Identifier: BSD-3-Clause
//! [`Components`]: the plugin and the filters of this run, from the command line to the chain that serves.
//!
//! The calls come in this order: [`find`](Components::find), [`startup`](Components::startup),
//! [`debug`](Components::debug), [`configure`](Components::configure),
//! [`complete`](Components::complete), [`get_ready`](Components::get_ready), and after the fork
//! [`after_fork`](Components::after_fork), which makes the chain. Parameters walk from the client to the plugin;
//! getting ready starts at the plugin, so that what is behind a filter is ready before it.

use crate::{
    cli::{
        names::{Catalogue, Kind},
        parameters,
    },
    trace::{Detail, trace},
};
use nbdkit_filter::{Filter, FilterEntry, Next};
use nbdkit_plugin::{
    Arc, Log, ParamSet, ParamSpec, Plugin, PluginEntry, Result, Server, Startup, Taken, ThreadModel,
};
use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
};

/// A plugin and the filters in front of it, not serving yet.
pub struct Components {
    entry: &'static PluginEntry,
    plugin: Box<dyn Plugin>,
    /// The one nearest to the client first.
    filters: Vec<(&'static FilterEntry, Box<dyn Filter>)>,
    log: Log,
    /// Which of their calls are shown under `-v`.
    pub detail: Detail,
}

/// What is to be told of a component.
#[derive(Clone, Debug)]
pub struct Description {
    /// Plugin or filter.
    pub kind: Kind,
    /// What it is called.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its parameters.
    pub params: Vec<ParamSpec>,
    /// Its debug flags.
    pub debug: Vec<ParamSpec>,
}

impl Description {
    /// What to write to have it.
    pub fn on_the_command_line(&self) -> String {
        match self.kind {
            Kind::Plugin => self.name.to_owned(),
            Kind::Filter => format!("--filter={}", self.name),
        }
    }
}

/// Lines for `--dump-plugin`.
pub type Lines = Vec<(&'static str, String)>;

impl Components {
    /// Makes the plugin and the filters (the one nearest to the client first) of these names.
    ///
    /// # Errors
    /// When one of them is not in the catalogue.
    pub fn find(catalogue: Catalogue, plugin: &OsStr, filters: &[OsString], log: Log) -> Result<Components> {
        let entry = catalogue.plugin(plugin)?;
        let filters = filters.iter().map(|name| catalogue.filter(name)).collect::<Result<Vec<_>>>()?;
        let filters = filters.into_iter().map(|entry| (entry, (entry.create)())).collect();
        Ok(Components { entry, plugin: (entry.create)(), filters, log, detail: Detail::default() })
    }

    /// Tells them what the process is like; `stdin` says whether they may read standard input.
    pub fn startup(&mut self, stdin: bool) {
        let startup = |name| Startup::new(self.log.named(name)).with_stdin(stdin);
        for (entry, filter) in &mut self.filters {
            filter.startup(&startup(entry.name));
        }
        self.plugin.startup(&startup(self.entry.name));
    }

    /// Sets a debug flag (`-D COMPONENT.FLAG=VALUE`) of all components of that name. In flags, dots and underscores
    /// are the same.
    ///
    /// # Errors
    /// When the value is out of range.
    pub fn debug(&mut self, component: &str, flag: &str, value: i32) -> Result<Taken> {
        let (flag, value) = (flag.replace('_', "."), OsString::from(value.to_string()));
        let mut taken = Taken::No;
        let mut set = |name: &str, flags: Option<&mut dyn ParamSet>| -> Result<()> {
            if let (true, Some(flags)) = (name == component, flags)
                && flags.set(&flag, &value)? == Taken::Yes
            {
                taken = Taken::Yes;
            }
            Ok(())
        };
        for (entry, filter) in &mut self.filters {
            set(entry.name, filter.debug_flags())?;
        }
        set(self.entry.name, self.plugin.debug_flags())?;
        Ok(taken)
    }

    /// Gives every word behind the plugin to the first component that takes it, from the client to the plugin.
    ///
    /// # Errors
    /// When nobody takes one, or who takes it does not like it.
    pub fn configure(&mut self, words: &[OsString]) -> Result<()> {
        for (position, word) in parameters::expand(words)?.iter().enumerate() {
            // Asked anew for each: what a plugin makes of the next word may depend on the one before.
            let magic = self.magic_key();
            let (key, value) = parameters::pair(word, position == 0, magic.as_deref())?;
            if self.set(key, value)? == Taken::No {
                let known = self.describe();
                return Err(match self.has_parameters() {
                    true => parameters::unknown(key, word, &known),
                    false => parameters::unwanted(word, &known),
                });
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &OsStr) -> Result<Taken> {
        let shown = match self.log.verbose() && self.is_secret(key) {
            true => OsStr::new("***"),
            false => value,
        };
        let say = |log: &Log, name| {
            log.debug(format_args!("{name}: config key={key}, value={}", shown.display()));
        };
        for (entry, filter) in &mut self.filters {
            say(&self.log, entry.name);
            if filter.config(key, value)? == Taken::Yes {
                return Ok(Taken::Yes);
            }
        }
        say(&self.log, self.entry.name);
        self.plugin.config(key, value)
    }

    fn is_secret(&mut self, key: &str) -> bool {
        let of_filters = self.filters.iter_mut().flat_map(|(_, filter)| specs(filter.params()));
        let mut all = of_filters.chain(specs(self.plugin.params()));
        all.any(|param| param.secret && param.keys.contains(&key))
    }

    /// All parameters were given.
    ///
    /// # Errors
    /// When one is missing, or they do not go together.
    pub fn complete(&mut self) -> Result<()> {
        for (entry, filter) in &mut self.filters {
            self.log.debug(format_args!("{}: config_complete", entry.name));
            filter.config_complete()?;
        }
        self.log.debug(format_args!("{}: config_complete", self.entry.name));
        self.plugin.config_complete()
    }

    /// The last chance to fail while the user is looking: the plugin first, the filter nearest to the client last.
    ///
    /// # Errors
    /// When one of them cannot serve.
    pub fn get_ready(&mut self) -> Result<()> {
        self.log.debug(format_args!("using thread model: {}", self.thread_model()));
        self.log.debug(format_args!("{}: get_ready", self.entry.name));
        self.plugin.get_ready()?;
        for (entry, filter) in self.filters.iter_mut().rev() {
            self.log.debug(format_args!("{}: get_ready", entry.name));
            filter.get_ready()?;
        }
        Ok(())
    }

    /// Whether a filter knows that there is nothing to serve for any more. After [`get_ready`](Components::get_ready).
    pub fn is_over(&self) -> bool {
        self.filters.iter().rev().any(|(_, filter)| filter.is_over())
    }

    /// The server has detached: the plugin first, the filter nearest to the client last. Each is frozen before the
    /// next one comes. What results is the whole chain.
    ///
    /// # Errors
    /// When one of them cannot serve. What had started is cleaned up.
    pub async fn after_fork(mut self, server: &Server) -> Result<Next> {
        self.log.debug(format_args!("{}: after_fork", self.entry.name));
        self.plugin.after_fork(server).await?;
        let plugin = self.entry.name;
        let traced = |name, next| match self.log.verbose() {
            true => trace(name, plugin, next, self.log.clone(), self.detail),
            false => next,
        };
        let mut next = traced(self.entry.name, Next::plugin(self.entry.name, Arc::from(self.plugin)));
        for (entry, filter) in self.filters.into_iter().rev() {
            self.log.debug(format_args!("{}: after_fork", entry.name));
            next = traced(entry.name, start_filter(entry.name, filter, next, server).await?);
        }
        Ok(next)
    }

    /// How much the whole chain allows at once.
    pub fn thread_model(&self) -> ThreadModel {
        self.filters
            .iter()
            .rev()
            .fold(self.plugin_thread_model(), |below, (_, filter)| filter.thread_model(below).min(below))
    }

    /// How much the plugin allows at once.
    pub fn plugin_thread_model(&self) -> ThreadModel {
        self.plugin.thread_model()
    }

    /// The parameter that values without a key are for.
    pub fn magic_key(&mut self) -> Option<Cow<'static, str>> {
        self.plugin.magic_key()
    }

    fn has_parameters(&mut self) -> bool {
        self.plugin.params().is_some() || self.entry.callbacks.contains(&"config")
    }

    /// How the plugin is announced.
    pub fn entry(&self) -> &'static PluginEntry {
        self.entry
    }

    /// What they are called: the filter nearest to the client first, the plugin last.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.filters.iter().map(|(entry, _)| entry.name).chain([self.entry.name])
    }

    /// The same with all that is to be told of them.
    pub fn describe(&mut self) -> Vec<Description> {
        let filters = self.filters.iter_mut().map(|(entry, filter)| Description {
            kind: Kind::Filter,
            name: entry.name,
            summary: entry.summary,
            params: specs(filter.params()),
            debug: specs(filter.debug_flags()),
        });
        let mut all: Vec<_> = filters.collect();
        all.push(self.describe_plugin());
        all
    }

    /// What is to be told of the plugin.
    pub fn describe_plugin(&mut self) -> Description {
        Description {
            kind: Kind::Plugin,
            name: self.entry.name,
            summary: self.entry.summary,
            params: specs(self.plugin.params()),
            debug: specs(self.plugin.debug_flags()),
        }
    }

    /// What they tell of themselves for `--dump-plugin`: the plugin, then all filters.
    pub fn dump(&self) -> (Lines, Lines) {
        (self.plugin.dump(), self.filters.iter().rev().flat_map(|(_, filter)| filter.dump()).collect())
    }
}

/// Puts `filter` in front of what has started.
///
/// # Errors
/// When it cannot serve. What had started is cleaned up.
pub async fn start_filter(
    name: &'static str,
    mut filter: Box<dyn Filter>,
    started: Next,
    server: &Server,
) -> Result<Next> {
    let result = filter.after_fork(&started, server).await;
    match result {
        Ok(()) => Ok(Next::filter(name, Arc::from(filter), started)),
        Err(error) => {
            drop(filter);
            // Why it cannot start says more than what goes wrong now.
            let _ = stand_down(&started, server).await;
            Err(error)
        }
    }
}

/// The end of what has started and will not serve.
///
/// # Errors
/// When one of them cannot clean up; the others have.
pub async fn stand_down(started: &Next, server: &Server) -> Result<()> {
    // What they do in the background ends before they do.
    server.shutdown();
    server.drained().await;
    started.cleanup().await
}

fn specs(params: Option<&mut dyn ParamSet>) -> Vec<ParamSpec> {
    params.map(|params| params.specs()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{CATALOGUE, Recorder, components, recorded};
    use futures_lite::future::block_on;
    use nbdkit_plugin::{Error, Op};

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn from_the_command_line_to_the_chain() {
        let (mut components, log) = recorded("disk", &["outer", "inner"]);
        components.startup(true);
        assert_eq!(log.take(), ["disk: startup, stdin true"]);
        assert_eq!(components.debug("disk", "part_sizes", 1).unwrap(), Taken::Yes);
        assert_eq!(components.debug("disk", "part.sizes", 7).unwrap(), Taken::Yes);
        for (component, flag) in [("disk", "other"), ("outer", "part.sizes"), ("disk2", "part.sizes")] {
            assert_eq!(components.debug(component, flag, 1).unwrap(), Taken::No, "{component}.{flag}");
        }
        components.configure(&words(&["1M", "count=2", "size=2M", "piece=a"])).unwrap();
        assert_eq!(
            log.take(),
            [
                ": outer: config key=size, value=1M",
                ": inner: config key=size, value=1M",
                ": disk: config key=size, value=1M",
                ": outer: config key=count, value=2",
                ": outer: config key=size, value=2M",
                ": inner: config key=size, value=2M",
                ": disk: config key=size, value=2M",
                ": outer: config key=piece, value=a",
                ": inner: config key=piece, value=a",
                ": disk: config key=piece, value=a",
            ]
        );
        components.complete().unwrap();
        assert_eq!(
            log.take(),
            [": outer: config_complete", ": inner: config_complete", ": disk: config_complete"]
        );
        components.get_ready().unwrap();
        assert_eq!(
            log.take(),
            [
                ": using thread model: serialize_connections",
                ": disk: get_ready",
                ": inner: get_ready",
                ": outer: get_ready"
            ]
        );
        let server = Server::new(Arc::default(), log.clone());
        let next = block_on(components.after_fork(&server)).unwrap();
        assert_eq!(next.thread_model(), ThreadModel::SerializeConnections);
        assert_eq!(
            log.take(),
            [
                ": disk: after_fork",
                ": disk of 2097152, ready true, shown 7",
                ": inner: after_fork",
                ": inner over serialize_requests",
                ": outer: after_fork",
                ": outer over serialize_requests"
            ]
        );
    }

    /// Cannot start, and may know that it need not.
    #[derive(Default)]
    struct Late(bool);

    impl Filter for Late {
        fn config(&mut self, key: &str, _: &OsStr) -> Result<Taken> {
            self.0 = key == "over";
            Ok(if self.0 { Taken::Yes } else { Taken::No })
        }

        fn is_over(&self) -> bool {
            self.0
        }

        fn after_fork<'a>(&'a mut self, _: &'a Next, _: &'a Server) -> Op<'a, ()> {
            Op::err(Error::invalid("too late"))
        }
    }

    static LATE: FilterEntry = FilterEntry::new::<Late>("late", "cannot start");

    fn with_late() -> (Components, Arc<Recorder>) {
        let filters = [&[&LATE], CATALOGUE.filters].concat();
        let catalogue = Catalogue { filters: &filters, ..CATALOGUE };
        let recorder = Arc::new(Recorder::default());
        let filters = words(&["outer", "late", "inner"]);
        let log = Log::new(recorder.clone());
        (Components::find(catalogue, "zero".as_ref(), &filters, log).unwrap(), recorder)
    }

    #[test]
    fn what_has_started_is_cleaned_up_if_the_next_cannot_start() {
        let (components, log) = with_late();
        let server = Server::new(Arc::default(), log.clone());
        let error = block_on(components.after_fork(&server)).map(drop).unwrap_err();
        assert_eq!(error.to_string(), "too late");
        assert_eq!(
            log.take(),
            [
                ": zero: after_fork",
                ": inner: after_fork",
                ": inner over parallel",
                ": late: after_fork",
                ": inner: cleanup",
                ": zero: cleanup"
            ]
        );
        assert!(server.stopping());
    }

    #[test]
    fn any_filter_may_know_that_it_is_over() {
        let (mut components, _) = with_late();
        assert!(!components.is_over());
        components.configure(&words(&["over=1"])).unwrap();
        assert!(components.is_over());
    }

    #[test]
    fn a_filter_only_lowers_the_thread_model() {
        let mut parallel = components("disk", &["inner", "outer"]);
        assert_eq!(parallel.thread_model(), ThreadModel::SerializeRequests);
        parallel.configure(&words(&["count=2"])).unwrap();
        assert_eq!(parallel.thread_model(), ThreadModel::SerializeConnections);
        assert_eq!(parallel.plugin_thread_model(), ThreadModel::SerializeRequests);
        assert_eq!(components("zero", &["inner"]).thread_model(), ThreadModel::Parallel);
    }

    #[test]
    fn secrets_are_not_shown() {
        let (mut components, log) = recorded("keyed", &["inner"]);
        components.configure(&words(&["label=open", "password=hunter2"])).unwrap();
        let lines = log.take();
        assert!(lines.contains(&": keyed: config key=label, value=open".into()), "{lines:?}");
        assert!(lines.contains(&": keyed: config key=password, value=***".into()), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:?}");
        let error = components.configure(&words(&["passwort=hunter2"])).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn words_that_nobody_takes() {
        for (plugin, given, line) in [
            ("disk", &["siz=1"][..], "unknown parameter 'siz', did you mean 'size'?"),
            ("disk", &["x", "y"], "size: could not parse size string: x"),
            ("zero", &["a"], "zero: this plugin does not need command line configuration: a"),
            ("zero", &["a=1"], "zero: this plugin does not need command line configuration: a=1"),
            (
                "keyed",
                &["a"],
                "unknown parameter 'script': expecting key=value on the command line but got: a",
            ),
            ("keyed", &["label=a", "b"], "expecting key=value on the command line but got: b"),
            ("script", &["s", "t"], "expecting key=value on the command line but got: t"),
            ("script", &["s", "other=1"], "unknown parameter 'other'"),
        ] {
            let error = components(plugin, &["inner"]).configure(&words(given)).unwrap_err().to_string();
            assert!(error.lines().next().unwrap().starts_with(line), "{given:?}: {error}");
        }
        let mut script = components("script", &[]);
        script.configure(&words(&["first", "x=1", "5=6=7"][..2])).unwrap();
        assert_eq!(script.dump().0, [("config", "script=first".into()), ("config", "x=1".into())]);
        assert_eq!(
            components("disk", &[]).complete().unwrap_err().to_string(),
            "you must specify size=<SIZE>"
        );
    }

    #[test]
    fn a_component_that_is_not_there() {
        let find = |plugin: &str, filter: &str| {
            let log = components("zero", &[]).log;
            Components::find(CATALOGUE, plugin.as_ref(), &words(&[filter]), log)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        };
        assert!(find("nosuch", "inner").starts_with("cannot open plugin \"nosuch\""));
        assert!(find("disk", "nosuch").starts_with("cannot open filter \"nosuch\""));
    }
}
