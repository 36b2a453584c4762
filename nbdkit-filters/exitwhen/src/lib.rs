// SPDX-License-Identifier: BSD-3-Clause
//! The exitwhen filter: when something happens elsewhere, lets nobody in any more and ends with the last client.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod descriptor;
mod event;
mod script;
mod sources;
mod watch;

use event::Event;
use nbdkit_filter::*;
use script::Script;
use std::{ffi::OsString, path::PathBuf, time::Duration};
use watch::{Present, Watch};

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Exitwhen>("exitwhen", "end the server when something happens");

params! {
    struct Params {
        /// A file that ends the server when it is made.
        "exit-when-file-created" => created: Vec<PathBuf>,
        /// A file that ends the server when it is deleted.
        "exit-when-file-deleted" => deleted: Vec<PathBuf>,
        /// The reading end of a pipe, as the number of a file descriptor that nbdkit was started with. It ends the
        /// server when all its writers have closed theirs.
        "exit-when-pipe-closed" | "exit-when-fd-closed" => pipes: Vec<u32>,
        /// A process, by number, that ends the server when it ends itself.
        "exit-when-process-exits" | "exit-when-pid-exits" => processes: Vec<u32>,
        /// A command for the shell. It ends the server by exiting with code 88.
        "exit-when-script" => scripts: Vec<OsString>,
        /// How often it is looked at what cannot be watched, such as scripts, while no client is connected; in seconds,
        /// at least 1.
        "exit-when-poll" => poll: u32 = 60,
    }
}

/// The filter.
#[derive(Default)]
pub struct Exitwhen {
    params: Params,
    /// Since `startup`.
    log: Option<Log>,
    /// `None`: nothing is to be waited for.
    watch: Option<Arc<Watch>>,
}

impl Filter for Exitwhen {
    fn startup(&mut self, startup: &Startup) {
        self.log = Some(startup.log.clone());
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn get_ready(&mut self) -> Result<()> {
        let Params { created, deleted, pipes, processes, scripts, poll } = &self.params;
        // Now, and not when it is first looked at: by then another process may have the number.
        let processes = processes.iter().map(|pid| Event::process(*pid)).collect::<Result<Vec<_>>>()?;
        let pipes = pipes.iter().map(|number| Event::pipe(*number)).collect::<Result<Vec<_>>>()?;
        let created = created.iter().cloned().map(Event::Created);
        let deleted = deleted.iter().cloned().map(Event::Deleted);
        let events: Vec<_> = processes.into_iter().chain(pipes).chain(created).chain(deleted).collect();
        let scripts: Vec<_> = scripts.iter().cloned().map(Script::new).collect();
        if !events.is_empty() || !scripts.is_empty() {
            let poll = Duration::from_secs((*poll).max(1).into());
            let watch = self.watch.insert(Arc::new(Watch::new(events, scripts, poll)));
            if let Some(log) = &self.log {
                watch.look_before_start(log);
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.has_happened())
    }

    fn after_fork<'a>(&'a mut self, _: &'a Next, server: &'a Server) -> Op<'a, ()> {
        if let Some(watch) = self.watch.clone() {
            drop(server.spawn(watch.run(server.clone())));
        }
        Op::ok(())
    }

    fn preconnect(self: Arc<Self>, next: Next, connection: Connection) -> Op<'static, ()> {
        let Some(watch) = self.watch.clone() else { return next.preconnect(connection) };
        connection.hold(Present::new(watch.clone(), connection.server().clone()));
        watch.admit(&connection).and_then(move |()| next.preconnect(connection))
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        [
            "exitwhen_file_created",
            "exitwhen_file_deleted",
            "exitwhen_pipe_closed",
            "exitwhen_process_exits",
            "exitwhen_script",
        ]
        .map(|kind| (kind, "yes".to_owned()))
        .into()
    }
}
