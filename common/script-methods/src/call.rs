// SPDX-License-Identifier: BSD-3-Clause
//! One call of a method: run its script, and do what the exit code says.

use crate::{Method, answer::Answer, failure};
use libc::ESHUTDOWN;
use nbdkit_plugin::{Connection, EIO, Error, Log, Result, Server};
use nbdkit_subprocess::Limits;
use std::{
    ffi::OsStr,
    fmt,
    os::unix::process::ExitStatusExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

/// The most that a method but `pread` may print, in bytes.
pub(crate) const MOST: usize = 64 << 20;
/// What is read of its error messages, in bytes: the first line counts.
const MOST_ERRORS: usize = 4096;

/// On whose behalf a method is called.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'a> {
    /// Nobody's: nothing is served, perhaps not yet. Notes that the script wants the server to end.
    Startup(&'a AtomicBool),
    /// The server's, which can be asked to end.
    Server(&'a Server),
    /// A client's, who can be sent away.
    Client(&'a Connection, &'a Log),
}

impl Caller<'_> {
    fn shutdown(&self) {
        match self {
            Caller::Startup(wish) => wish.store(true, SeqCst),
            Caller::Server(server) => server.shutdown(),
            Caller::Client(connection, _) => connection.server().shutdown(),
        }
    }

    /// Sends the client away with an answer. There is nobody to send away unless a client called.
    fn disconnect(&self) {
        if let Caller::Client(connection, _) = self {
            connection.disconnect();
        }
    }

    /// Sends the client away at once, without another word.
    fn abort(&self) {
        if let Caller::Client(connection, _) = self {
            connection.abort();
        }
    }

    fn debug(&self, message: fmt::Arguments<'_>) {
        match self {
            Caller::Startup(_) => {}
            Caller::Server(server) => server.log().debug(message),
            Caller::Client(_, log) => log.debug(message),
        }
    }
}

/// What a method is given besides its arguments.
#[derive(Clone, Copy)]
pub(crate) struct Streams<'a> {
    /// Its standard input.
    pub(crate) input: &'a [u8],
    /// The most that it may print, in bytes.
    pub(crate) most: usize,
}

impl Default for Streams<'_> {
    fn default() -> Self {
        Streams { input: &[], most: MOST }
    }
}

/// Calls `name`.
pub(crate) fn call(
    caller: Caller<'_>,
    method: Method<'_>,
    name: &str,
    args: &[&dyn AsRef<OsStr>],
    streams: Streams<'_>,
    tmpdir: &Path,
) -> Result<Answer> {
    let program = match method {
        Method::Run(program) => program,
        Method::Known(text) => return Ok(Answer::Output(text.into())),
        Method::Missing => return Ok(Answer::Missing),
    };
    caller.debug(format_args!("calling: {program} {name} {}", Quoted(args)));
    let limits = Limits { output: streams.most, errors: MOST_ERRORS };
    let finished = program.run(tmpdir, name, args, streams.input, limits)?;
    caller.debug(format_args!("completed: {program} {name}: {}", finished.status));
    if finished.surplus {
        let most = streams.most;
        return Err(Error::new(EIO, format!("{program}: {name} printed more than {most} bytes")));
    }
    let Some(code) = finished.status.code() else {
        let signal = finished.status.signal().unwrap_or_default();
        return Err(Error::new(EIO, format!("{program}: {name}: script terminated by signal {signal}")));
    };
    let failed = |errno| Err(failure::reported(program, &finished.errors, errno));
    match code {
        4 | 5 => caller.shutdown(),
        6 => caller.abort(),
        7 | 8 => caller.disconnect(),
        _ => {}
    }
    match code {
        0 | 4 | 7 => Ok(Answer::Output(finished.output)),
        2 => Ok(Answer::Missing),
        3 => Ok(Answer::False),
        5 | 6 | 8 => failed(ESHUTDOWN),
        _ => failed(EIO),
    }
}

/// Arguments as a debug message shows them.
struct Quoted<'a>(&'a [&'a dyn AsRef<OsStr>]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|arg| write!(f, "{:?} ", arg.as_ref()))
    }
}
