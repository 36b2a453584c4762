// SPDX-License-Identifier: BSD-3-Clause
//! [`Ahead`]: sends cache requests ahead of sequential reads.

use crate::stream::Stream;
use async_lock::Semaphore;
use nbdkit_filter::*;
use std::{
    sync::{Mutex, PoisonError},
    task::{Context, Waker},
};

/// How many prefetches of a client may be under way at once.
const FLIGHTS: usize = 4;

/// One open export of one connection.
pub(crate) struct Ahead {
    next: Arc<dyn Disk>,
    connection: Connection,
    log: Log,
    stream: Mutex<Stream>,
    flights: Arc<Semaphore>,
}

impl Ahead {
    pub(crate) fn new(next: Arc<dyn Disk>, connection: Connection, log: Log) -> Ahead {
        let info = next.info();
        let minimum = info.block.map_or(1, |block| block.minimum.into());
        let stream = Mutex::new(Stream::new(info.size, minimum));
        Ahead { next, connection, log, stream, flights: Arc::new(Semaphore::new(FLIGHTS)) }
    }

    /// Begins to prefetch `span`, and does not wait for it.
    fn prefetch(&self, span: Span, flight: async_lock::SemaphoreGuardArc) {
        let (next, log) = (self.next.clone(), self.log.clone());
        let mut work = Box::pin(async move {
            if let Err(error) = next.cache(span).await {
                log.debug(format_args!("prefetch of {} bytes at {}: {error}", span.len, span.offset));
            }
            drop(flight);
        });
        // It begins here and now: a cache behind then knows of it before it sees the reads that come next, and lets
        // them wait for what is on its way instead of fetching it twice.
        if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            drop(self.connection.server().spawn(work));
        }
    }
}

impl Layer for Ahead {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        // When all flights are out, the stream does not move: later reads catch up.
        if let Some(flight) = self.flights.try_acquire_arc()
            && !self.connection.is_gone()
        {
            let ahead = {
                let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
                stream.advance(Span::new(offset, len.into()))
            };
            if let Some(span) = ahead {
                self.prefetch(span, flight);
            }
        }
        self.next.pread(len, offset)
    }

    fn close(&self) -> Op<'_, ()> {
        Op::wait(async {
            // What has begun is finished before the disk behind is closed.
            for _ in 0..FLIGHTS {
                self.flights.acquire_arc().await.forget();
            }
            self.next.close().await
        })
    }
}
