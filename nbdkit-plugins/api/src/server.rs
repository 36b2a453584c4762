// SPDX-License-Identifier: BSD-3-Clause
//! [`Server`]: what a component may ask of the process it lives in.

use crate::{Log, LogSink, latch::Latch};
use async_executor::{Executor, Task};
use event_listener::Event;
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

/// A handle to the running server. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    executor: Arc<Executor<'static>>,
    log: Log,
    read_only: bool,
    stopping: Latch,
    background: Count,
}

/// How many background tasks there are.
#[derive(Default)]
struct Count {
    tasks: AtomicUsize,
    fewer: Event,
}

/// One of them; a guard, so that a panic counts down too.
struct Counted(Server);

impl Counted {
    fn new(server: &Server) -> Counted {
        server.0.background.tasks.fetch_add(1, SeqCst);
        Counted(server.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let count = &self.0.0.background;
        count.tasks.fetch_sub(1, SeqCst);
        count.fewer.notify(usize::MAX);
    }
}

impl Server {
    /// Tasks run on `executor`, which the caller drives; messages go to `sink`.
    pub fn new(executor: Arc<Executor<'static>>, sink: Arc<dyn LogSink>) -> Server {
        Server(Arc::new(Inner {
            executor,
            log: Log::new(sink),
            read_only: false,
            stopping: Latch::default(),
            background: Count::default(),
        }))
    }

    /// Says whether all disks are served read-only (`-r`). Only while there is one handle; later it has no effect.
    #[must_use]
    pub fn with_read_only(mut self, read_only: bool) -> Server {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.read_only = read_only;
        }
        self
    }

    /// Whether all disks are served read-only (`-r`), so that no client can write.
    pub fn read_only(&self) -> bool {
        self.0.read_only
    }

    /// Runs `future` beside the connections, to its end, whether or not the handle is kept. The process waits for it
    /// before it ends: one that runs for long watches [`stopped`](Server::stopped).
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Background<T> {
        let counted = Counted::new(self);
        Background(Some(self.0.executor.spawn(async move {
            let _counted = counted;
            future.await
        })))
    }

    /// Resolves when no background work is left.
    pub async fn drained(&self) {
        let count = &self.0.background;
        while count.tasks.load(SeqCst) > 0 {
            let listener = count.fewer.listen();
            if count.tasks.load(SeqCst) == 0 {
                return;
            }
            listener.await;
        }
    }

    /// Asks the process to end: requests in flight are answered, connections closed.
    pub fn shutdown(&self) {
        self.0.stopping.set();
    }

    /// Whether the process has been asked to end.
    pub fn stopping(&self) -> bool {
        self.0.stopping.is_set()
    }

    /// Resolves when the process has been asked to end.
    pub async fn stopped(&self) {
        self.0.stopping.wait().await;
    }

    /// Speaks for the server itself.
    pub fn log(&self) -> &Log {
        &self.0.log
    }
}

/// Work beside the connections, from [`Server::spawn`]. Dropping the handle lets it run on: a bare executor task
/// would be cancelled in the middle of an operation.
pub struct Background<T>(Option<Task<T>>);

impl<T> Background<T> {
    /// Waits for its result.
    pub async fn join(mut self) -> T {
        match self.0.take() {
            Some(task) => task.await,
            // Taken only here and in `drop`, and both happen once.
            None => std::future::pending().await,
        }
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}
