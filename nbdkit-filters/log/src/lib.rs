// SPDX-License-Identifier: BSD-3-Clause
//! The log filter: writes down what clients do, to a file or through a script.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod entry;
mod journal;
mod logged;
mod quote;
mod script;
mod stamp;

use entry::{Entry, Phase, returned};
use journal::Journal;
use logged::Logged;
use nbdkit_filter::*;
use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<LogFilter>("log", "write down every operation");

params! {
    struct Params {
        /// The file in which each operation has a line when it begins and one when it ends.
        "logfile" => file: Option<PathBuf>,
        /// Whether the file keeps what it has and is added to.
        "logappend" => append: bool = false,
        /// A command that the shell runs for each such line, with the fields of the line as variables.
        ///
        /// The shell is bash where there is one, else sh. The request waits until the command has ended; how it ended does
        /// not matter.
        "logscript" => script: Option<OsString>,
    }
}

/// The filter.
#[derive(Default)]
pub struct LogFilter {
    params: Params,
    /// `None`: nobody wants to know.
    journal: Option<Arc<Journal>>,
    /// What is behind allows so much.
    model: Mutex<Option<ThreadModel>>,
    /// Before the server detached.
    process: u32,
    preconnects: AtomicU64,
    lists: AtomicU64,
    connections: AtomicU64,
}

/// Counts from 1.
fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Relaxed) + 1
}

impl Filter for LogFilter {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn thread_model(&self, below: ThreadModel) -> ThreadModel {
        // The only place where it is told before the first line is due.
        *self.model.lock().unwrap_or_else(PoisonError::into_inner) = Some(below);
        below
    }

    fn get_ready(&mut self) -> Result<()> {
        let Params { file, append, script } = &self.params;
        self.process = std::process::id();
        let Some(journal) = Journal::open(file.as_deref(), *append, script.clone())? else { return Ok(()) };
        let model = self.model.get_mut().unwrap_or_else(PoisonError::into_inner);
        let fields = format!("thread_model={}", number(model.unwrap_or(ThreadModel::Parallel)));
        journal.note_before_the_fork(&Entry::new("Ready", Phase::Print, fields))?;
        self.journal = Some(Arc::new(journal));
        Ok(())
    }

    fn after_fork<'a>(&'a mut self, _: &'a Next, server: &'a Server) -> Op<'a, ()> {
        match self.journal.clone() {
            Some(journal) if std::process::id() != self.process => Op::wait(async move {
                journal.note(server.log(), Entry::new("Fork", Phase::Print, String::new())).await;
                Ok(())
            }),
            _ => Op::ok(()),
        }
    }

    fn preconnect(self: Arc<Self>, next: Next, connection: Connection) -> Op<'static, ()> {
        let Some(journal) = self.journal.clone() else { return next.preconnect(connection) };
        Op::wait(async move {
            let (log, id) = (connection.log().named("log"), count(&self.preconnects));
            let entry = |phase, fields| Entry::new("Preconnect", phase, fields).id(id);
            let read_only = u8::from(connection.server().read_only());
            journal.note(&log, entry(Phase::Enter, format!("readonly={read_only}"))).await;
            let result = next.preconnect(connection).await;
            journal.note(&log, entry(Phase::Leave, returned(&result))).await;
            result
        })
    }

    fn list_exports(self: Arc<Self>, next: Next, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        let Some(journal) = self.journal.clone() else { return next.list_exports(req) };
        Op::wait(async move {
            let (log, id) = (req.log().clone(), count(&self.lists));
            let entry = |phase, fields| Entry::new("ListExports", phase, fields).id(id);
            let fields = format!("readonly={} tls={}", u8::from(req.read_only), u8::from(req.tls));
            journal.note(&log, entry(Phase::Enter, fields)).await;
            let result = next.list_exports(req).await;
            let leave = match &result {
                Ok(exports) => {
                    entry(Phase::Leave, returned(&result)).list("exports", names(exports.as_deref()))
                }
                Err(_) => entry(Phase::Leave, returned(&result)),
            };
            journal.note(&log, leave).await;
            result
        })
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let Some(journal) = self.journal.clone() else { return next.open(req) };
        Op::wait(async move {
            let log = req.log().clone();
            let (export, tls) = (req.export.clone(), req.tls);
            let disk = next.open(req).await?;
            let connection = count(&self.connections);
            let connect = Entry::new("Connect", Phase::Print, entry::connect(&export, tls, disk.info()));
            journal.note(&log, connect.connection(connection)).await;
            Ok(layer(Logged { next: disk, journal, log, connection, transactions: AtomicU64::new(0) }))
        })
    }
}

/// As the C API numbers them.
fn number(model: ThreadModel) -> u8 {
    match model {
        ThreadModel::SerializeConnections => 0,
        ThreadModel::SerializeAllRequests => 1,
        ThreadModel::SerializeRequests => 2,
        ThreadModel::Parallel => 3,
    }
}

/// Without a list there is the default export.
fn names(exports: Option<&[Export]>) -> Vec<String> {
    match exports {
        Some(exports) => exports.iter().map(|export| quote::quote(&export.name)).collect(),
        None => vec![quote::quote("")],
    }
}
