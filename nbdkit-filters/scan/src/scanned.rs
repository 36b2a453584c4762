// SPDX-License-Identifier: BSD-3-Clause
//! [`Scanned`]: a disk that is prefetched in the background, as long as it is open.

use crate::{Params, Scan, clock::Clock};
use async_lock::OnceCell;
use futures_lite::{FutureExt, future::yield_now};
use nbdkit_filter::*;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long it rests before it begins anew: with all in the cache, going round and round would be all a CPU does.
const REST: Duration = Duration::from_secs(1);

/// One open export of one connection.
pub(crate) struct Scanned {
    next: Arc<dyn Disk>,
    clock: Arc<Clock>,
    /// With `scan-ahead`: the unit of skipping.
    ahead: Option<u64>,
    /// Set when the scan is to end.
    enough: Arc<OnceCell<()>>,
    scan: Mutex<Option<Background<()>>>,
}

/// What works in the background. It must not keep the layer alive, whose end it waits for.
struct Scanner {
    disk: Arc<dyn Disk>,
    clock: Arc<Clock>,
    step: u64,
    forever: bool,
    enough: Arc<OnceCell<()>>,
    connection: Connection,
    log: Log,
}

impl Scanned {
    /// In front of `disk`, which `filter` scans for the client who sent `req`.
    pub(crate) fn begin(filter: &Scan, disk: Arc<dyn Disk>, req: &OpenRequest) -> Scanned {
        let Params { ahead, clock, forever, size } = filter.params;
        filter.clock.enter(clock);
        let enough = Arc::new(OnceCell::new());
        let scanner = Scanner {
            disk: disk.clone(),
            clock: filter.clock.clone(),
            step: size.0,
            forever,
            enough: enough.clone(),
            connection: req.connection.clone(),
            log: req.log().clone(),
        };
        let scan = req.connection.server().spawn(scanner.run());
        Scanned {
            next: disk,
            clock: filter.clock.clone(),
            ahead: ahead.then_some(size.0),
            enough,
            scan: Mutex::new(Some(scan)),
        }
    }

    fn end(&self) {
        // Once, be it closed or only dropped.
        if self.enough.set_blocking(()).is_ok() {
            self.clock.leave();
        }
    }
}

impl Scanner {
    async fn run(self) {
        let size = self.disk.info().size;
        while !self.enough.is_initialized() && !self.connection.is_gone() {
            match self.clock.next(size, self.step) {
                Some(span) => {
                    if let Err(error) = self.disk.cache(span).await {
                        // The next part would hardly fare better, and clients should not have to share a disk in trouble.
                        let Span { offset, len } = span;
                        return self.log.debug(format_args!("scan ends: {len} bytes at {offset}: {error}"));
                    }
                    // It may be there at once, and so may all of the disk.
                    yield_now().await;
                }
                None if self.forever && size > 0 => {
                    let enough = async {
                        self.enough.wait().await;
                        Ok(())
                    };
                    // An error says that the client goes, which the loop sees as well.
                    let _ = self.connection.nap(REST).or(enough).await;
                    self.clock.rewind(size);
                }
                None => return,
            }
        }
    }
}

impl Layer for Scanned {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        if let Some(step) = self.ahead {
            self.clock.skip(offset + u64::from(len), step);
        }
        self.next.pread(len, offset)
    }

    fn close(&self) -> Op<'_, ()> {
        Op::wait(async {
            self.end();
            let scan = self.scan.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(scan) = scan {
                // No longer than one request of it.
                scan.join().await;
            }
            self.next.close().await
        })
    }
}

impl Drop for Scanned {
    fn drop(&mut self) {
        self.end();
    }
}
