// SPDX-License-Identifier: BSD-3-Clause
//! [`Retrying`]: a disk that is replaced while it is open.

use crate::source::Source;
use async_lock::RwLock;
use nbdkit_filter::*;

/// A disk of its own and not a [`Layer`]: it has no `&dyn Disk` to lend.
pub(crate) struct Retrying {
    source: Source,
    /// As the client was told when it came.
    info: Info,
    /// Held to read for as long as an operation uses the disk: none is closed under it.
    current: RwLock<Current>,
}

struct Current {
    /// `None` after a failure to open it again.
    disk: Option<Arc<dyn Disk>>,
    /// How often it was replaced, or that was tried.
    reopens: u64,
}

impl Current {
    fn disk(&self) -> Result<&dyn Disk> {
        self.disk.as_deref().ok_or_else(|| Error::new(ESHUTDOWN, "the disk could not be opened again"))
    }
}

/// Why an attempt failed, and on which of the disks.
struct Failure {
    error: Error,
    reopens: u64,
}

impl Retrying {
    pub(crate) fn new(source: Source, disk: Arc<dyn Disk>) -> Retrying {
        let info = disk.info().clone();
        Retrying { source, info, current: RwLock::new(Current { disk: Some(disk), reopens: 0 }) }
    }

    /// Does `op` on the disk, on the next one if it fails, and so on. `changes` if it does not only read.
    fn again<'a, T: Send + 'a>(
        &'a self,
        name: &'static str,
        changes: bool,
        op: impl for<'d> Fn(&'d dyn Disk) -> Op<'d, T> + Send + Sync + 'a,
    ) -> Op<'a, T> {
        // Most answers are there at once. One to wait for has not begun and cannot outlive the lock: it is made anew.
        let mut failed = match self.at_once(changes, &op) {
            Some(Ok(value)) => return Op::ok(value),
            Some(Err(failure)) => Some(failure),
            None => None,
        };
        Op::wait(async move {
            let mut patience = self.source.patience();
            loop {
                let failure = match failed.take() {
                    Some(failure) => failure,
                    None => match self.attempt(changes, &op).await {
                        Ok(value) => return Ok(value),
                        Err(failure) => failure,
                    },
                };
                // What was refused because of `retry-readonly` stays so.
                let refused = changes && self.has_become_read_only(failure.reopens);
                if refused || !patience.allows(name, &failure.error, &self.source.req).await {
                    return Err(failure.error);
                }
                failed = self.replace(failure.reopens).await.err();
            }
        })
    }

    /// `None` when there is something to wait for.
    fn at_once<T>(
        &self,
        changes: bool,
        op: &impl for<'d> Fn(&'d dyn Disk) -> Op<'d, T>,
    ) -> Option<Result<T, Failure>> {
        let current = self.current.try_read()?;
        let result = match self.usable(&current, changes) {
            Ok(disk) => match op(disk) {
                Op::Ready(result) => result,
                Op::Wait(_) => return None,
            },
            Err(error) => Err(error),
        };
        Some(result.map_err(|error| Failure { error, reopens: current.reopens }))
    }

    async fn attempt<T>(
        &self,
        changes: bool,
        op: &impl for<'d> Fn(&'d dyn Disk) -> Op<'d, T>,
    ) -> Result<T, Failure> {
        let current = self.current.read().await;
        let result = match self.usable(&current, changes) {
            Ok(disk) => op(disk).await,
            Err(error) => Err(error),
        };
        result.map_err(|error| Failure { error, reopens: current.reopens })
    }

    /// The disk, unless it is gone or must not be changed.
    fn usable<'c>(&self, current: &'c Current, changes: bool) -> Result<&'c dyn Disk> {
        if changes && self.has_become_read_only(current.reopens) {
            return Err(Error::new(
                EROFS,
                "the disk is read-only since it was opened again, as retry-readonly says",
            ));
        }
        let disk = current.disk()?;
        match changes && !disk.info().write {
            true => Err(Error::new(EROFS, "the disk cannot be written any more since it was opened again")),
            false => Ok(disk),
        }
    }

    fn has_become_read_only(&self, reopens: u64) -> bool {
        reopens > 0 && self.source.filter.params.read_only
    }

    /// Closes the disk and opens another, unless somebody has done so since the failure.
    async fn replace(&self, reopens: u64) -> Result<(), Failure> {
        // Waits for the operations that still use the old one.
        let mut current = self.current.write().await;
        if current.reopens != reopens {
            return Ok(());
        }
        current.reopens += 1;
        if let Some(old) = current.disk.take()
            && let Err(error) = old.close().await
        {
            self.source.req.log().debug(format_args!("close: {error}"));
        }
        match self.source.open_again(self.info.size).await {
            Ok(disk) => {
                current.disk = Some(disk);
                Ok(())
            }
            Err(error) => Err(Failure { error, reopens: current.reopens }),
        }
    }
}

impl Disk for Retrying {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.again("pread", false, move |disk| disk.pread(len, offset))
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.again("pwrite", true, move |disk| match durable(disk, flags) {
            Ok(()) => disk.pwrite(data.clone(), offset, flags),
            Err(error) => Op::err(error),
        })
    }

    fn flush(&self) -> Op<'_, ()> {
        self.again("flush", false, |disk| match disk.info().flush {
            true => disk.flush(),
            false => Op::err(lost("flush")),
        })
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.again("trim", true, move |disk| match durable(disk, flags) {
            Ok(()) if disk.info().trim => disk.trim(span, flags),
            // Advice, which may be ignored.
            Ok(()) => Op::ok(()),
            Err(error) => Op::err(error),
        })
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.again("zero", true, move |disk| match durable(disk, flags) {
            Ok(()) if disk.info().zero.works() => disk.zero(span, flags),
            Ok(()) => Op::err(lost("zero")),
            Err(error) => Op::err(error),
        })
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.again("cache", false, move |disk| match disk.info().cache.works() {
            true => disk.cache(span),
            false => Op::ok(()),
        })
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.again("extents", false, move |disk| match disk.info().extents {
            true => disk.extents(span, flags),
            false => Op::ok(Extents::data(span.len)),
        })
    }

    fn finalize(&self) -> Op<'_, ()> {
        Op::wait(async move {
            match &self.current.read().await.disk {
                Some(disk) => disk.finalize().await,
                None => Ok(()),
            }
        })
    }

    fn close(&self) -> Op<'_, ()> {
        Op::wait(async move {
            let mut current = self.current.write().await;
            self.source.req.log().debug(format_args!("reopens needed: {}", current.reopens));
            match current.disk.take() {
                Some(disk) => disk.close().await,
                None => Ok(()),
            }
        })
    }
}

/// What the disk could do when the client came may be missing in a later one.
fn durable(disk: &dyn Disk, flags: Flags) -> Result<()> {
    match flags.fua && !disk.info().fua.works() {
        true => Err(lost("FUA")),
        false => Ok(()),
    }
}

fn lost(what: &str) -> Error {
    Error::new(EIO, format!("the disk has no {what} any more since it was opened again"))
}
