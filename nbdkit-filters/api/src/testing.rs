// SPDX-License-Identifier: BSD-3-Clause
//! For tests of filters: a chain without a server around it.

use crate::{Filter, Next};
use nbdkit_plugin::{
    Arc, Connection, Disk, Log, LogSink, OpenRequest, ParamSet, Peer, Plugin, Result, Server, Startup, Taken,
};
use std::{
    ffi::OsStr,
    fmt,
    future::Future,
    sync::{Mutex, PoisonError},
};

/// A server with one connection, driven by [`run`](Bench::run); what it logs is kept.
#[derive(Clone)]
pub struct Bench {
    executor: Arc<async_executor::Executor<'static>>,
    server: Server,
    lines: Arc<Lines>,
}

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl LogSink for Lines {
    fn error(&self, who: &str, message: fmt::Arguments<'_>) {
        self.debug(who, format_args!("error: {message}"));
    }

    fn debug(&self, who: &str, message: fmt::Arguments<'_>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{who}: {message}"));
    }

    fn verbose(&self) -> bool {
        true
    }
}

fn set(flags: Option<&mut dyn ParamSet>, flag: &str, value: &str) -> Result<Taken> {
    flags.map_or(Ok(Taken::No), |flags| flags.set(flag, OsStr::new(value)))
}

impl Default for Bench {
    fn default() -> Self {
        let (executor, lines): (Arc<async_executor::Executor<'static>>, Arc<Lines>) = Default::default();
        Bench { server: Server::new(executor.clone(), lines.clone()), executor, lines }
    }
}

impl Bench {
    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Speaks for the server.
    pub fn log(&self) -> &Log {
        self.server.log()
    }

    /// What was logged so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `future` and whatever is spawned meanwhile.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        futures_lite::future::block_on(self.executor.run(future))
    }

    /// A plugin, configured as on the command line and made ready, as the end of a chain. `("-D zero", "1")` is a debug
    /// flag.
    pub fn plugin<P: Plugin + Default>(&self, name: &'static str, params: &[(&str, &str)]) -> Result<Next> {
        let mut plugin = P::default();
        plugin.startup(&Startup::new(self.log().named(name)));
        for (key, value) in params {
            let taken = match key.strip_prefix("-D ") {
                Some(flag) => set(plugin.debug_flags(), flag, value)?,
                None => plugin.config(key, OsStr::new(value))?,
            };
            assert_eq!(taken, Taken::Yes, "{name} does not know {key}=");
        }
        plugin.config_complete()?;
        plugin.get_ready()?;
        self.run(async { plugin.after_fork(&self.server).await })?;
        Ok(Next::plugin(name, Arc::new(plugin)))
    }

    /// A filter, configured like a plugin and made ready, in front of `next`.
    pub fn filter<F: Filter + Default>(
        &self,
        name: &'static str,
        params: &[(&str, &str)],
        next: Next,
    ) -> Result<Next> {
        let mut filter = F::default();
        filter.startup(&Startup::new(self.log().named(name)));
        for (key, value) in params {
            let taken = match key.strip_prefix("-D ") {
                Some(flag) => set(filter.debug_flags(), flag, value)?,
                None => filter.config(key, OsStr::new(value))?,
            };
            assert_eq!(taken, Taken::Yes, "{name} does not know {key}=");
        }
        filter.config_complete()?;
        filter.get_ready()?;
        self.run(async { filter.after_fork(&next, &self.server).await })?;
        Ok(Next::filter(name, Arc::new(filter), next))
    }

    /// A request to open `export` on a connection of its own.
    pub fn request(&self, number: u64, export: &str) -> OpenRequest {
        OpenRequest::new(&Connection::new(&self.server, number, Peer::Other), export)
    }

    /// Opens the default export on a connection of its own.
    pub fn open(&self, next: &Next) -> Result<Arc<dyn Disk>> {
        self.run(async { next.open(self.request(1, "")).await })
    }
}
