// SPDX-License-Identifier: BSD-3-Clause
//! The retry-request filter: tries an operation again when it fails, on the same open disk.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;
use std::time::Duration;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<RetryRequest>("retry-request", "try an operation again when it fails");

params! {
    struct Params {
        /// How often an operation that fails is tried again. 0 disables the filter.
        "retry-request-retries" => retries: u32 = 2,
        /// How long to wait before trying again.
        "retry-request-delay" => delay: Duration = Duration::from_secs(2),
        /// Whether opening an export is tried again like other operations.
        "retry-request-open" => open: bool = true,
    }
}

/// The filter.
#[derive(Default)]
pub struct RetryRequest {
    params: Params,
}

const MOST_RETRIES: u32 = 1000;

impl Filter for RetryRequest {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config_complete(&mut self) -> Result<()> {
        let Params { retries, delay, .. } = self.params;
        if retries > MOST_RETRIES {
            return Err(Error::invalid(format!(
                "retry-request-retries: value too large: {retries}, should be at most {MOST_RETRIES}"
            )));
        }
        if delay.is_zero() {
            return Err(Error::invalid("retry-request-delay cannot be 0, should be a delay such as 100ms"));
        }
        Ok(())
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        if self.params.retries == 0 {
            return next.open(req);
        }
        let retries = Retries {
            most: self.params.retries,
            delay: self.params.delay,
            connection: req.connection.clone(),
            log: req.log().clone(),
        };
        let opened = match self.params.open {
            false => next.open(req),
            true => {
                let patient = retries.clone();
                Op::wait(async move { patient.run("open", || next.open(req.clone())).await })
            }
        };
        opened.layer(move |next| Ok(Retrying { next, retries }))
    }
}

/// How often and on whose behalf.
#[derive(Clone)]
struct Retries {
    most: u32,
    delay: Duration,
    connection: Connection,
    log: Log,
}

impl Retries {
    /// Tries until it works, or as often as allowed, or until there is nobody left to do it for.
    async fn run<'a, T>(&self, name: &str, attempt: impl Fn() -> Op<'a, T>) -> Result<T> {
        let first = attempt().await;
        self.after(name, first, attempt).await
    }

    /// The same when the first attempt has been made, and this was its result.
    async fn after<'a, T>(
        &self,
        name: &str,
        mut result: Result<T>,
        attempt: impl Fn() -> Op<'a, T>,
    ) -> Result<T> {
        for retry in 1..=self.most {
            match &result {
                Err(error) if !is_an_answer(error) => {
                    let Retries { delay, log, .. } = self;
                    log.debug(format_args!("{name} failed: {error}"));
                    log.debug(format_args!("retry {retry}: waiting {delay:?} before retrying"));
                }
                _ => return result,
            }
            if self.connection.nap(self.delay).await.is_err() {
                return result;
            }
            result = attempt().await;
        }
        result
    }
}

/// "Not supported" is what a disk has to say about a fast zero, and trying again does not change its mind.
fn is_an_answer(error: &Error) -> bool {
    error.errno() == EOPNOTSUPP
}

struct Retrying {
    next: Arc<dyn Disk>,
    retries: Retries,
}

impl Retrying {
    fn again<'a, T: Send + 'a>(
        &'a self,
        name: &'static str,
        attempt: impl Fn(&'a dyn Disk) -> Op<'a, T> + Send + Sync + 'a,
    ) -> Op<'a, T> {
        match attempt(&*self.next) {
            Op::Ready(Ok(value)) => Op::ok(value),
            first => Op::wait(async move {
                let first = first.await;
                self.retries.after(name, first, || attempt(&*self.next)).await
            }),
        }
    }
}

impl Layer for Retrying {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.again("pread", move |next| next.pread(len, offset))
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.again("pwrite", move |next| next.pwrite(data.clone(), offset, flags))
    }

    fn flush(&self) -> Op<'_, ()> {
        self.again("flush", |next| next.flush())
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.again("trim", move |next| next.trim(span, flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.again("zero", move |next| next.zero(span, flags))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.again("cache", move |next| next.cache(span))
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.again("extents", move |next| next.extents(span, flags))
    }
}
