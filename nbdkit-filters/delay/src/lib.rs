// SPDX-License-Identifier: BSD-3-Clause
//! The delay filter: makes operations slow, to play a far or busy disk.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;
use std::{path::PathBuf, time::Duration};

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Delay>("delay", "make operations slow");

params! {
    struct Params {
        /// How long each read waits before it begins.
        "delay-read" | "rdelay" => read: Duration = Duration::ZERO,
        /// How long each write, zeroing and trim waits before it begins.
        "wdelay" => changes: Duration = Duration::ZERO,
        /// The same for writes only, in place of `wdelay`.
        "delay-write" => write: Option<Duration>,
        /// The same for zeroing only, in place of `wdelay`.
        "delay-zero" => zero: Option<Duration>,
        /// The same for trims only, in place of `wdelay`.
        "delay-trim" => trim: Option<Duration>,
        /// How long each block status (extents) request waits before it begins.
        "delay-extents" => extents: Duration = Duration::ZERO,
        /// How long each cache request waits before it begins.
        "delay-cache" => cache: Duration = Duration::ZERO,
        /// How long a client waits before its export is opened.
        "delay-open" => open: Duration = Duration::ZERO,
        /// How long an export stays open after its client has said goodbye (`NBD_CMD_DISC`).
        "delay-close" => close: Duration = Duration::ZERO,
        /// Whether fast zeroing waits like other zeroing. If not, it fails at once.
        "delay-fast-zero" => fast_zero: bool = true,
        /// Operations wait only while this file exists.
        "delay-trigger" => trigger: Option<PathBuf>,
    }
}

/// The filter.
#[derive(Default)]
pub struct Delay {
    params: Params,
}

impl Filter for Delay {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let connection = req.connection.clone();
        let waited = match self.now(self.params.open) {
            None => Op::ok(()),
            Some(delay) => Op::wait(async move { connection.nap(delay).await }),
        };
        waited.and_then(move |()| {
            let connection = req.connection.clone();
            next.open(req).around(move |next| {
                let fails_fast = !self.params.fast_zero && next.info().zero.works();
                let info = next.info().with(|info| info.fast_zero |= fails_fast);
                Ok(Slow { next, info, connection, filter: self })
            })
        })
    }
}

impl Delay {
    fn of(&self, kind: Kind) -> Duration {
        let params = &self.params;
        match kind {
            Kind::Read => params.read,
            Kind::Write => params.write.unwrap_or(params.changes),
            Kind::Zero => params.zero.unwrap_or(params.changes),
            Kind::Trim => params.trim.unwrap_or(params.changes),
            Kind::Extents => params.extents,
            Kind::Cache => params.cache,
            Kind::Finalize => params.close,
            Kind::Flush | Kind::Close => Duration::ZERO,
        }
    }

    /// What remains of `delay` now that the trigger is asked; `None` for no delay at all.
    fn now(&self, delay: Duration) -> Option<Duration> {
        (!delay.is_zero() && self.params.trigger.as_ref().is_none_or(|file| file.exists())).then_some(delay)
    }
}

struct Slow {
    next: Arc<dyn Disk>,
    info: Info,
    connection: Connection,
    filter: Arc<Delay>,
}

impl Around for Slow {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T> + Send + 'a,
    ) -> Op<'a, T> {
        if call.flags.fast_zero && !self.filter.params.fast_zero {
            return Op::err(Error::unsupported("fast zero"));
        }
        let Some(delay) = self.filter.now(self.filter.of(call.kind)) else { return op(&*self.next) };
        Op::wait(async move {
            match self.connection.nap(delay).await {
                // The goodbye is passed on even if there is no time to wait for it.
                Err(error) if call.kind != Kind::Finalize => Err(error),
                _ => op(&*self.next).await,
            }
        })
    }
}
