// SPDX-License-Identifier: BSD-3-Clause
//! [`Lanes`]: the sessions of one disk. One from the start; more when that one has its hands full, because a session
//! is encrypted by one processor, and read for by one process on the other side.

use crate::{
    lane::Lane,
    remote::{How, Remote},
    target::Target,
};
use nbdkit_plugin::{Connection, Log, Op, Result};
use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// As many calls under way on every session let us open another.
const BUSY: usize = 8;
/// How many sessions there are beyond one for each disk, in the whole process: servers accept few at a time that are
/// not logged in yet (`MaxStartups`).
const MOST_EXTRA: usize = 3;
/// After so many failures no more is tried.
const MOST_FAILURES: u32 = 3;

/// The sessions of one disk.
pub(crate) struct Lanes {
    first: Lane,
    more: Mutex<More>,
    target: Arc<Target>,
    how: How,
    allowance: Allowance,
    connection: Connection,
    log: Log,
}

#[derive(Default)]
struct More {
    lanes: Vec<(Lane, Extra)>,
    opening: bool,
    failures: u32,
    closed: bool,
}

/// How many extra sessions the process has.
#[derive(Clone, Default)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

/// One of them.
struct Extra(Allowance);

impl Allowance {
    fn take(&self) -> Option<Extra> {
        let more = |extras| (extras < MOST_EXTRA).then_some(extras + 1);
        self.0.fetch_update(Relaxed, Relaxed, more).ok().map(|_| Extra(self.clone()))
    }
}

impl Drop for Extra {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

impl Lanes {
    /// `remote` is the first; others open the file for `how`, which must not create it again.
    pub(crate) fn new(
        remote: Remote,
        target: Arc<Target>,
        how: How,
        allowance: Allowance,
        connection: Connection,
        log: Log,
    ) -> Arc<Lanes> {
        let (first, pump) = remote.start(&target, &connection, &log);
        connection.server().spawn(pump.run());
        Arc::new(Lanes { first, more: Mutex::default(), target, how, allowance, connection, log })
    }

    /// The one that is always there.
    pub(crate) fn first(&self) -> &Lane {
        &self.first
    }

    /// The one with the least to do.
    pub(crate) fn pick(self: &Arc<Self>) -> Lane {
        let calls = self.first.calls();
        if calls == 0 || self.first.is_lost() {
            return self.first.clone();
        }
        let mut more = self.more();
        more.lanes.retain(|(lane, _)| !lane.is_lost());
        let lanes = more.lanes.iter().map(|(lane, _)| (lane.calls(), lane));
        let best = lanes.chain([(calls, &self.first)]).min_by_key(|(calls, _)| *calls);
        let (calls, best) = best.map_or((calls, self.first.clone()), |(calls, lane)| (calls, lane.clone()));
        if calls >= BUSY && !more.opening && !more.closed && more.failures < MOST_FAILURES {
            // The process waits for work of its own, so a session that is being opened is not left behind.
            if let Some(extra) = self.allowance.take() {
                more.opening = true;
                drop(self.connection.server().spawn(self.clone().grow(extra)));
            }
        }
        best
    }

    async fn grow(self: Arc<Self>, extra: Extra) {
        let result = self.another().await;
        let mut more = self.more();
        more.opening = false;
        match result {
            Ok(lane) if more.closed => lane.close(),
            Ok(lane) => {
                more.lanes.push((lane, extra));
                self.log.debug(format_args!("{} sessions", more.lanes.len() + 1));
            }
            Err(why) => {
                more.failures += 1;
                self.log.debug(format_args!("no further session: {why}"));
            }
        }
    }

    /// Opens the file once more, and makes sure that it is the same.
    fn another(&self) -> impl Future<Output = Result<Lane, String>> + Send + use<> {
        let (target, how, log) = (self.target.clone(), self.how, self.log.clone());
        let opened = Op::blocking(move || Remote::open(&target, how, &log).map(|remote| (target, remote)));
        let (first, connection, log) = (self.first.clone(), self.connection.clone(), self.log.clone());
        async move {
            let (target, remote) = opened.await.map_err(|error| error.to_string())?;
            let theirs = remote.attributes.clone();
            let (lane, pump) = remote.start(&target, &connection, &log);
            connection.server().spawn(pump.run());
            match first.attributes().await {
                // The name may stand for another file by now. SFTP does not tell which file it is, but how it looks.
                Ok(ours) if ours == theirs => Ok(lane),
                Ok(_) => {
                    lane.close();
                    Err("the file looks different there".to_owned())
                }
                Err(error) => {
                    lane.close();
                    Err(error.to_string())
                }
            }
        }
    }

    /// Ends all sessions once what was asked is answered.
    pub(crate) fn close(&self) {
        self.first.close();
        let mut more = self.more();
        more.closed = true;
        more.lanes.drain(..).for_each(|(lane, _)| lane.close());
    }

    /// Nothing that holds the lock can panic.
    fn more(&self) -> MutexGuard<'_, More> {
        self.more.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a disk that was never closed properly leaves behind.
impl Drop for Lanes {
    fn drop(&mut self) {
        self.close();
    }
}
