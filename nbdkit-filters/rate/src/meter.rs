// SPDX-License-Identifier: BSD-3-Clause
//! [`Meter`]: those who wait at a bucket take turns.

use crate::{bucket::Bucket, file::RateFile, values::Rate};
use async_lock::{Mutex, MutexGuard};
use futures_lite::FutureExt;
use nbdkit_filter::{Arc, Connection, ESHUTDOWN, Error, Log, Result};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// What the user has asked for.
pub(crate) struct Limit<'p> {
    /// Whom it is about, for the log.
    pub(crate) whose: &'static str,
    pub(crate) rate: Option<Rate>,
    pub(crate) file: Option<&'p Path>,
    pub(crate) burst: Duration,
    /// Whether to tell what happens.
    pub(crate) verbose: bool,
}

/// One for each direction.
#[derive(Clone)]
pub(crate) struct Both {
    pub(crate) read: Arc<Meter>,
    pub(crate) write: Arc<Meter>,
}

impl Limit<'_> {
    /// `None`: there is no limit, and there never will be.
    pub(crate) fn meters(&self) -> Option<Both> {
        if self.rate.is_none() && self.file.is_none() {
            return None;
        }
        let meter = |direction| Arc::new(Meter::new(self, direction));
        Some(Both { read: meter("read"), write: meter("write") })
    }
}

pub(crate) struct Meter {
    /// Locked by the one whose turn it is, also while it waits for its tokens. The lock is fair.
    state: Mutex<State>,
    /// What the log calls it, if it is to be told of.
    name: Option<[&'static str; 2]>,
}

struct State {
    bucket: Bucket,
    file: Option<RateFile>,
}

impl Meter {
    fn new(limit: &Limit<'_>, direction: &'static str) -> Meter {
        let bucket = Bucket::new(limit.rate, limit.burst, Instant::now());
        let name = limit.verbose.then_some([limit.whose, direction]);
        Meter { state: Mutex::new(State { bucket, file: limit.file.map(RateFile::new) }), name }
    }

    /// Whether `bits` may pass at once; if not, nothing is taken.
    pub(crate) fn pass_now(&self, bits: u64, log: &Log) -> bool {
        self.state.try_lock().is_some_and(|mut state| {
            let now = Instant::now();
            state.look(now, log);
            let passed = state.bucket.take_all(bits, now);
            if passed {
                self.tell(bits, &state.bucket, log);
            }
            passed
        })
    }

    /// Takes it back that `bits` have passed.
    pub(crate) fn give_back(&self, bits: u64) {
        // If somebody else is there by now the bits are lost, which keeps the limit all the same.
        if let Some(mut state) = self.state.try_lock() {
            state.bucket.give_back(bits);
        }
    }

    /// Waits until `bits` have passed, turn by turn.
    ///
    /// # Errors
    /// `ESHUTDOWN` when the client goes or the server stops.
    pub(crate) async fn pass(&self, bits: u64, connection: &Connection, log: &Log) -> Result<()> {
        let mut left = bits;
        while left > 0 {
            let mut state = self.turn(connection).await?;
            let now = Instant::now();
            state.look(now, log);
            left -= self.take(&mut state.bucket, left, now, log);
            if left == 0 {
                break;
            }
            // A second at most, even at one bit a second; then the rate may be another.
            let turn = state.bucket.next_turn(left);
            if let Some([whose, direction]) = self.name {
                log.debug(format_args!("bucket {whose} {direction}: {left} tokens wait for {turn:?}"));
            }
            connection.nap(turn).await?;
            left -= self.take(&mut state.bucket, left, Instant::now(), log);
        }
        Ok(())
    }

    fn take(&self, bucket: &mut Bucket, bits: u64, now: Instant, log: &Log) -> u64 {
        let taken = bucket.take(bits, now);
        self.tell(taken, bucket, log);
        taken
    }

    fn tell(&self, taken: u64, bucket: &Bucket, log: &Log) {
        if let (Some([whose, direction]), true) = (self.name, bucket.rate().is_some()) {
            let level = bucket.level();
            log.debug(format_args!("bucket {whose} {direction}: {taken} tokens taken, {level} left"));
        }
    }

    async fn turn(&self, connection: &Connection) -> Result<MutexGuard<'_, State>> {
        let gone = async {
            connection.gone().await;
            Err(Error::new(ESHUTDOWN, "a wait for bandwidth was cut short: the connection is closing"))
        };
        let turn = async { Ok(self.state.lock().await) };
        gone.or(turn).await
    }
}

impl State {
    fn look(&mut self, now: Instant, log: &Log) {
        let Some(rate) = self.file.as_mut().and_then(|file| file.look(now, log)) else { return };
        if rate != self.bucket.rate() {
            let name = |rate: Option<Rate>| rate.map_or(0, |Rate(rate)| rate.get());
            log.debug(format_args!("rate adjusted from {} to {}", name(self.bucket.rate()), name(rate)));
            self.bucket.set_rate(rate, now);
        }
    }
}
