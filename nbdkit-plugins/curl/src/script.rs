// SPDX-License-Identifier: BSD-3-Clause
//! [`Script`]: a shell script that prints headers or cookies, run again when what it printed has become old.

use crate::watch::Watch;
use nbdkit_plugin::{EIO, Error, Log, Result};
use nbdkit_subprocess::{Finished, Invocation, Limits};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How much a script may print, in bytes.
const LIMITS: Limits = Limits { output: 64 << 10, errors: 4 << 10 };

/// A script whose output is a `T`.
pub(crate) struct Script<T> {
    /// The name of its parameter.
    name: &'static str,
    text: String,
    /// As the user typed it.
    url: String,
    /// `None`: once is enough.
    renew: Option<Duration>,
    parse: fn(&str) -> Result<T, String>,
    last: Arc<Mutex<Last<T>>>,
}

/// What it printed last.
struct Last<T> {
    /// How often it was run.
    iteration: u64,
    value: Option<(Instant, Arc<T>)>,
}

impl<T: Send + Sync + 'static> Script<T> {
    /// `renew` in seconds; 0: never.
    pub(crate) fn new(
        name: &'static str,
        text: &str,
        url: &str,
        renew: u32,
        parse: fn(&str) -> Result<T, String>,
    ) -> Script<T> {
        Script {
            name,
            text: text.to_owned(),
            url: url.to_owned(),
            renew: (renew > 0).then(|| Duration::from_secs(renew.into())),
            parse,
            last: Arc::new(Mutex::new(Last { iteration: 0, value: None })),
        }
    }

    /// What it prints now, or printed not too long ago. Requests that come meanwhile wait for the one that runs it.
    ///
    /// # Errors
    /// When it fails, or prints what cannot be used.
    pub(crate) async fn value(&self, watch: &Watch, log: &Log) -> Result<Arc<T>> {
        let mut last = self.last.clone().lock_owned().await;
        if let Some((when, value)) = &last.value
            && self.renew.is_none_or(|renew| when.elapsed() < renew)
        {
            return Ok(value.clone());
        }
        let iteration = last.iteration;
        last.iteration += 1;
        let (output, mut last) = self.run(iteration, last, log).await?;
        watch.printed(self.name, &output, log);
        let value = (self.parse)(&output).map_err(|why| self.failed(why))?;
        let value = Arc::new(value);
        last.value = Some((Instant::now(), value.clone()));
        Ok(value)
    }

    /// Gives `turn` back when it has ended. A request may be given up before that: the next one waits all the same,
    /// so that scripts that hang do not become many.
    async fn run<L: Send + 'static>(&self, iteration: u64, turn: L, log: &Log) -> Result<(String, L)> {
        // The values are variables and not part of the script: nothing in a URL becomes a command. The two dashes keep
        // a script that begins with one from being an option.
        let invocation = Invocation::new("/bin/sh")
            .args(["-c", "--", &self.text])
            .env("url", &self.url)
            .env("iteration", iteration.to_string());
        log.debug(format_args!("running {}, iteration {iteration}", self.name));
        let finished = tokio::task::spawn_blocking(move || (invocation.run(b"", LIMITS), turn)).await;
        let (finished, turn) = finished.map_err(|_| self.failed("it was interrupted"))?;
        let Finished { status, output, surplus, errors } =
            finished.map_err(|error| Error::io(error, format!("{}: /bin/sh", self.name)))?;
        // For the operator only: the client sees why opening failed, and this may hold anything.
        for line in String::from_utf8_lossy(&errors).lines() {
            log.error(format_args!("{}: {line}", self.name));
        }
        // First: a program that may not print any more fails as well.
        if surplus {
            return Err(self.failed(format_args!("it printed more than {} bytes", LIMITS.output)));
        }
        if !status.success() {
            return Err(self.failed(status));
        }
        let output = String::from_utf8(output).map_err(|_| self.failed("it printed what is not UTF-8"))?;
        Ok((output, turn))
    }

    fn failed(&self, why: impl std::fmt::Display) -> Error {
        Error::new(EIO, format!("{} failed: {why}", self.name))
    }
}
