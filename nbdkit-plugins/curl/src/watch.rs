// SPDX-License-Identifier: BSD-3-Clause
//! [`Watch`]: what is said under `-v` about requests, as much as the debug flags ask for and nothing that is secret.

use crate::{location::shown, params::DebugFlags};
use nbdkit_plugin::Log;
use reqwest::{
    Request, Response,
    header::{
        ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
        HeaderName, LAST_MODIFIED, RANGE, SERVER,
    },
};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Headers whose values everybody may see.
const PUBLIC: [HeaderName; 9] = [
    ACCEPT_RANGES,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
    RANGE,
    SERVER,
];

/// One for all requests.
pub(crate) struct Watch {
    headers: bool,
    ids: bool,
    times: bool,
    scripts: bool,
    requests: AtomicU64,
    /// Until the heads of the answers, in microseconds.
    waited: AtomicU64,
}

/// A request that was not answered yet.
pub(crate) struct Asked {
    id: String,
    since: Instant,
}

impl Watch {
    pub(crate) fn new(flags: &DebugFlags) -> Watch {
        Watch {
            headers: flags.verbose != 0,
            ids: flags.ids != 0,
            times: flags.times != 0,
            scripts: flags.scripts != 0,
            requests: AtomicU64::new(0),
            waited: AtomicU64::new(0),
        }
    }

    pub(crate) fn asks(&self, request: &Request, log: &Log) -> Asked {
        let number = self.requests.fetch_add(1, Relaxed) + 1;
        let id = if self.ids { format!("[{number}] ") } else { String::new() };
        log.debug(format_args!("{id}{} {}", request.method(), shown(request.url())));
        self.show(&id, '>', request.headers(), log);
        Asked { id, since: Instant::now() }
    }

    pub(crate) fn answered(&self, asked: Asked, answer: &Response, log: &Log) {
        let Asked { id, since } = asked;
        let waited = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(waited, Relaxed);
        log.debug(format_args!("{id}{:?} {}", answer.version(), answer.status()));
        self.show(&id, '<', answer.headers(), log);
    }

    fn show(&self, id: &str, direction: char, headers: &HeaderMap, log: &Log) {
        if !self.headers || !log.verbose() {
            return;
        }
        for (name, value) in headers {
            let value = value.to_str().ok().filter(|_| PUBLIC.contains(name)).unwrap_or("***");
            log.debug(format_args!("{id}{direction} {name}: {value}"));
        }
    }

    /// What a script has printed: of each line the first name.
    pub(crate) fn printed(&self, script: &str, output: &str, log: &Log) {
        if !self.scripts {
            return;
        }
        for line in output.lines() {
            let name = line.split([':', '=', ';']).next().filter(|name| name.len() < line.len());
            log.debug(format_args!("{script} printed {}: ***", name.unwrap_or_default()));
        }
    }

    /// At the end.
    pub(crate) fn sum_up(&self, log: &Log) {
        if self.times {
            let waited = Duration::from_micros(self.waited.load(Relaxed));
            let requests = self.requests.load(Relaxed);
            log.debug(format_args!(
                "times: {requests} requests, waited {waited:?} in all for the answers to begin"
            ));
        }
    }
}
