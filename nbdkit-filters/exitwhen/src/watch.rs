// SPDX-License-Identifier: BSD-3-Clause
//! [`Watch`]: who is there, whether it has happened, and what follows from both.

use crate::{event::Event, script::Script, sources::Sources};
use async_io::Timer;
use futures_lite::FutureExt;
use nbdkit_filter::{Arc, Connection, EPERM, ESHUTDOWN, Error, Log, Op, Result, Server};
use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

pub(crate) struct Watch {
    events: Vec<Event>,
    scripts: Vec<Script>,
    poll: Duration,
    /// Once one of them has, it does not matter what becomes of it later.
    happened: AtomicBool,
    clients: AtomicUsize,
}

impl Watch {
    pub(crate) fn new(events: Vec<Event>, scripts: Vec<Script>, poll: Duration) -> Watch {
        Watch { events, scripts, poll, happened: AtomicBool::new(false), clients: AtomicUsize::new(0) }
    }

    /// A first look, and every script once: in sight of the user, who waits for that.
    pub(crate) fn look_before_start(&self, log: &Log) {
        let _ = self.look(log) || self.scripts.iter().any(|script| self.judge(script.run(), log));
    }

    pub(crate) fn has_happened(&self) -> bool {
        self.happened.load(SeqCst)
    }

    /// Watches until it has happened or the server stops.
    pub(crate) async fn run(self: Arc<Self>, server: Server) {
        let log = server.log().named("exitwhen");
        let watch = async {
            let mut sources = Sources::new(&self.events);
            let mut timer = Timer::interval(self.poll);
            let mut due = false;
            while !self.look(&log) {
                // While clients are there, scripts are run when one comes and when the last one goes.
                if due && self.clients.load(SeqCst) == 0 && self.ask(&log).await {
                    break;
                }
                let tick = async {
                    (&mut timer).await;
                    true
                };
                let stirred = async {
                    sources.stirred().await;
                    false
                };
                due = stirred.or(tick).await;
            }
            self.end_if_idle(&server, &log);
        };
        // A script that hangs does not hold up the end of the server.
        server.stopped().or(watch).await;
    }

    /// Lets a client in, unless it has happened.
    pub(crate) fn admit(self: Arc<Self>, connection: &Connection) -> Op<'static, ()> {
        let log = connection.log().named("exitwhen");
        if self.look(&log) {
            return Op::err(rejection());
        }
        if self.scripts.is_empty() {
            return Op::ok(());
        }
        let connection = connection.clone();
        Op::wait(async move {
            let gone = async {
                connection.gone().await;
                Err(Error::new(ESHUTDOWN, "exit-when-script: the connection is closing"))
            };
            let asked = async { Ok(self.ask(&log).await) };
            match asked.or(gone).await? {
                true => Err(rejection()),
                false => Ok(()),
            }
        })
    }

    /// Whether it has happened, as far as that can be seen at once.
    fn look(&self, log: &Log) -> bool {
        if self.has_happened() {
            return true;
        }
        let Some(event) = self.events.iter().find(|event| event.has_happened()) else { return false };
        log.debug(format_args!("{}", event.describe()));
        self.happened.store(true, SeqCst);
        true
    }

    /// Whether a script says that it has happened.
    async fn ask(&self, log: &Log) -> bool {
        for script in &self.scripts {
            let script = script.clone();
            if self.judge(Op::blocking(move || script.run()).await, log) {
                return true;
            }
        }
        self.has_happened()
    }

    /// Whether a script has said that it has happened.
    fn judge(&self, answer: Result<bool>, log: &Log) -> bool {
        match answer {
            Ok(true) => {
                log.debug(format_args!("exit-when-script: detected scripted event"));
                self.happened.store(true, SeqCst);
            }
            Ok(false) => {}
            Err(error) => log.error(format_args!("{error}")),
        }
        self.has_happened()
    }

    /// It has happened: the server ends now, or with the last client.
    fn end_if_idle(&self, server: &Server, log: &Log) {
        if self.clients.load(SeqCst) == 0 && !server.stopping() {
            log.debug(format_args!("no client is connected: exiting"));
            server.shutdown();
        }
    }
}

fn rejection() -> Error {
    Error::new(EPERM, "exitwhen: nbdkit is exiting: rejecting new connection")
}

/// A client that is connected. Held by its connection.
pub(crate) struct Present {
    watch: Arc<Watch>,
    server: Server,
}

impl Present {
    /// Counted before it is looked whether it has happened: whoever finds nobody there afterwards may end the server.
    pub(crate) fn new(watch: Arc<Watch>, server: Server) -> Present {
        watch.clients.fetch_add(1, SeqCst);
        Present { watch, server }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        if self.watch.clients.fetch_sub(1, SeqCst) != 1 || self.server.stopping() {
            return;
        }
        let log = self.server.log().named("exitwhen");
        if self.watch.look(&log) {
            self.watch.end_if_idle(&self.server, &log);
        } else if !self.watch.scripts.is_empty() {
            let (watch, server) = (self.watch.clone(), self.server.clone());
            drop(self.server.spawn(async move {
                let ask = async {
                    if watch.ask(&log).await {
                        watch.end_if_idle(&server, &log);
                    }
                };
                server.stopped().or(ask).await;
            }));
        }
    }
}
