// SPDX-License-Identifier: BSD-3-Clause
//! The rate filter: reads and writes wait for their turn, so that no more than so many bits pass in a second.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bucket;
mod file;
mod meter;
mod values;

use meter::{Both, Limit};
use nbdkit_filter::*;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use values::Rate;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<RateFilter>("rate", "limit bandwidth");

params! {
    struct Params {
        /// How much all connections together may read, and how much they may write, in bits a second.
        "rate" => all: Option<Rate>,
        /// How much each connection may read, and how much it may write, in bits a second.
        "connection-rate" => each: Option<Rate>,
        /// A file with another value for `rate`. It is read again while nbdkit runs.
        "rate-file" => all_file: Option<PathBuf>,
        /// A file with another value for `connection-rate`. It is read again while nbdkit runs.
        "connection-rate-file" => each_file: Option<PathBuf>,
        /// How much may pass at once after a pause: as much as otherwise in this time.
        "burstiness" => burst: Duration = Duration::from_secs(2),
    }
}

params! {
    struct DebugFlags {
        /// Shows what is taken out of the buckets, and who waits for how long.
        "bucket" => bucket: i32 = 0,
    }
}

/// The filter.
#[derive(Default)]
pub struct RateFilter {
    params: Params,
    debug: DebugFlags,
    /// What all connections share; `None`: there is no such limit.
    all: Option<Both>,
}

impl Filter for RateFilter {
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn get_ready(&mut self) -> Result<()> {
        self.all = self.limit("all", self.params.all, self.params.all_file.as_deref()).meters();
        Ok(())
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let each = self.limit("connection", self.params.each, self.params.each_file.as_deref()).meters();
        let limits: Vec<Both> = each.into_iter().chain(self.all.clone()).collect();
        if limits.is_empty() {
            return next.open(req);
        }
        let (connection, log) = (req.connection.clone(), req.log().clone());
        next.open(req).around(move |next| Ok(Limited { next, limits, connection, log }))
    }
}

impl RateFilter {
    fn limit<'p>(&self, whose: &'static str, rate: Option<Rate>, file: Option<&'p Path>) -> Limit<'p> {
        Limit { whose, rate, file, burst: self.params.burst, verbose: self.debug.bucket != 0 }
    }
}

/// A disk that is read and written only so fast.
struct Limited {
    next: Arc<dyn Disk>,
    /// That of the connection first: who waits there takes nothing from the others.
    limits: Vec<Both>,
    connection: Connection,
    log: Log,
}

impl Around for Limited {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T> + Send + 'a,
    ) -> Op<'a, T> {
        let meter = match call.kind {
            Kind::Read => |both: &'a Both| &both.read,
            Kind::Write => |both: &'a Both| &both.write,
            // A small message on the wire, however much it is about.
            _ => return op(&*self.next),
        };
        let bits = call.span.len.saturating_mul(8);
        let mut meters = self.limits.iter().map(meter);
        if let Some(stuck) = meters.find(|meter| !meter.pass_now(bits, &self.log)) {
            // Nothing is taken by an operation that has not begun.
            let passed = self.limits.iter().map(meter).take_while(|meter| !std::ptr::eq(*meter, stuck));
            passed.for_each(|meter| meter.give_back(bits));
            return Op::wait(async move {
                for limit in &self.limits {
                    meter(limit).pass(bits, &self.connection, &self.log).await?;
                }
                op(&*self.next).await
            });
        }
        op(&*self.next)
    }
}
