// SPDX-License-Identifier: BSD-3-Clause
//! A server inside another program: no command line, no fork, no signals.

use crate::{
    components::{stand_down, start_filter},
    connection::Service,
    listen::{Listener, Listeners},
    serve::{self, Clients},
    tls::{self, Offer},
};
use async_executor::Executor;
use event_listener::Event;
use nbd_proto::server::Config;
use nbdkit_filter::{Filter, Next};
use nbdkit_plugin::{Error, Log, LogSink, Plugin, Result, Server, Startup};
use nbdkit_spin::Bustle;
use std::{fmt, path::Path, sync::Arc, thread, time::Duration};

/// What is to be served, and how.
///
/// The plugin is called for `startup`, `config_complete`, `get_ready` and `after_fork`; give it its parameters before.
pub struct Embedded {
    name: &'static str,
    plugin: Box<dyn Plugin>,
    filters: Vec<(&'static str, Box<dyn Filter>)>,
    sink: Arc<dyn LogSink>,
    read_only: bool,
    threads: usize,
    timeout: Option<Duration>,
    config: Config,
    tls: Option<Offer>,
}

/// Says nothing.
struct Silence;

impl LogSink for Silence {
    fn error(&self, _: &str, _: fmt::Arguments<'_>) {}
    fn debug(&self, _: &str, _: fmt::Arguments<'_>) {}
    fn verbose(&self) -> bool {
        false
    }
}

impl Embedded {
    /// Serves the disks of `plugin`, which is called `name` in messages.
    pub fn new(name: &'static str, plugin: impl Plugin) -> Embedded {
        Embedded {
            name,
            plugin: Box::new(plugin),
            filters: Vec::new(),
            sink: Arc::new(Silence),
            read_only: false,
            threads: 64,
            timeout: None,
            config: Config::default(),
            tls: None,
        }
    }

    /// Puts a filter in front of what there is so far.
    pub fn filter(mut self, name: &'static str, filter: impl Filter) -> Embedded {
        self.filters.push((name, Box::new(filter)));
        self
    }

    /// Sends messages there; without this, nothing is said.
    pub fn log(mut self, sink: Arc<dyn LogSink>) -> Embedded {
        self.sink = sink;
        self
    }

    /// Clients cannot write.
    pub fn read_only(mut self) -> Embedded {
        self.read_only = true;
        self
    }

    /// How many operations of one connection may be under way at once; 64 unless said otherwise, at least 1.
    pub fn threads(mut self, threads: usize) -> Embedded {
        self.threads = threads.max(1);
        self
    }

    /// How long a handshake may take; for ever unless said otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Embedded {
        self.timeout = Some(timeout);
        self
    }

    /// What is offered to clients.
    pub fn config(mut self, config: Config) -> Embedded {
        self.config = config;
        self
    }

    /// Lets clients encrypt, or with `required` refuses all that do not. Overrides what [`config`](Embedded::config) says
    /// of TLS.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, acceptor: nbd_tls::Acceptor, required: bool) -> Embedded {
        let (named, detail) = (tls::Named::Nothing, tls::Detail::default());
        self.tls = Some(Offer { acceptor, required, named, detail });
        self
    }

    /// Listens on a Unix domain socket at `path`, which must not exist, and serves on threads of its own. If a filter
    /// [is over](Filter::is_over) before that, nothing is bound, and what results has ended already.
    ///
    /// # Errors
    /// When the socket cannot be bound, or plugin or filters cannot get ready.
    pub fn unix(self, path: impl AsRef<Path>) -> Result<Running> {
        self.run(|| Ok(Listeners::unix(path.as_ref())?.sockets))
    }

    /// Serves clients of these sockets, on threads of its own. If a filter [is over](Filter::is_over) before that, they
    /// are closed, and what results has ended already.
    ///
    /// # Errors
    /// When plugin or filters cannot get ready.
    pub fn listen(self, sockets: Vec<Listener>) -> Result<Running> {
        self.run(|| Ok(sockets))
    }

    /// Whether there is something to serve for.
    fn get_ready(&mut self) -> Result<bool> {
        let log = Log::new(self.sink.clone());
        let startup = |name| Startup::new(log.named(name));
        self.plugin.startup(&startup(self.name));
        self.plugin.config_complete()?;
        self.plugin.get_ready()?;
        for (name, filter) in &mut self.filters {
            filter.startup(&startup(*name));
            filter.config_complete()?;
            filter.get_ready()?;
        }
        Ok(!self.filters.iter().any(|(_, filter)| filter.is_over()))
    }

    fn run(mut self, bind: impl FnOnce() -> Result<Vec<Listener>>) -> Result<Running> {
        let stop = Arc::new(Event::new());
        if !self.get_ready()? {
            return Ok(Running { stop, thread: None });
        }
        let sockets = bind()?;
        let (stopped, (ready, started)) = (stop.listen(), std::sync::mpsc::sync_channel(1));
        let main = move || {
            let executor = Arc::new(Executor::new());
            let server = Server::new(executor.clone(), self.sink.clone()).with_read_only(self.read_only);
            serve::run(&executor, async {
                let (service, chain) = match self.start(&server).await {
                    Ok(service) => service,
                    Err(error) => {
                        // Whoever waits for it has the error; there is nothing to run.
                        let _ = ready.send(Err(error));
                        return Ok(());
                    }
                };
                let sockets = sockets.into_iter().map(|socket| socket.start(false)).collect::<Result<_>>();
                let sockets = match sockets {
                    Ok(sockets) => sockets,
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return stand_down(&chain, &server).await;
                    }
                };
                let _ = ready.send(Ok(()));
                let mut stopped = Some(stopped);
                let signal = async || match stopped.take() {
                    Some(stopped) => {
                        stopped.await;
                        Ok(())
                    }
                    None => std::future::pending().await,
                };
                let served = serve::serve(service, Clients::Listen(sockets), signal).await;
                served.and(chain.cleanup().await)
            })
        };
        let failed = |error| Error::io(error, "starting a thread");
        let thread = thread::Builder::new().name("nbdkit".into()).spawn(main).map_err(failed)?;
        match started.recv() {
            Ok(ready) => ready.map(|()| Running { stop, thread: Some(thread) }),
            Err(_) => Err(Error::new(libc::EIO, "the server ended before it was ready")),
        }
    }

    async fn start(mut self, server: &Server) -> Result<(Arc<Service>, Next)> {
        self.plugin.after_fork(server).await?;
        let mut chain = Next::plugin(self.name, Arc::from(self.plugin));
        for (name, filter) in self.filters {
            chain = start_filter(name, filter, chain, server).await?;
        }
        let service = Service {
            server: server.clone(),
            chain: chain.clone(),
            plugin: self.name,
            config: self.config.tls(self.tls.as_ref().map_or(tls::REFUSAL, Offer::policy)),
            tls: self.tls,
            read_only: self.read_only,
            threads: self.threads,
            timeout: self.timeout,
            bustle: Bustle::default(),
        };
        Ok((Arc::new(service), chain))
    }
}

/// A server that runs until it is stopped or dropped.
pub struct Running {
    stop: Arc<Event>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Running {
    /// Answers what is in flight, closes connections and cleans up.
    ///
    /// # Errors
    /// What went wrong since it was started.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.stop.notify(1);
        match self.thread.take().map(thread::JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::new(libc::EIO, "the server panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Who wants to know calls `stop`.
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests;
