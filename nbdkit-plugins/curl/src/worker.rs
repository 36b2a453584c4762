// SPDX-License-Identifier: BSD-3-Clause
//! [`Worker`]: the one thread on which all HTTP happens.

use async_io::Timer;
use futures_lite::FutureExt;
use nbdkit_plugin::{Connection, EIO, ESHUTDOWN, Error, Result};
use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    runtime::{self, Handle},
    sync::oneshot,
};

/// How long a request may still take when its client goes or the process ends. A server that has stopped would hold
/// them up for ever.
const GRACE: Duration = Duration::from_secs(5);
/// Threads beside, for the system's resolver and for scripts.
const HELPERS: usize = 16;

/// A runtime of its own, which the futures of the HTTP library need.
pub(crate) struct Worker {
    handle: Handle,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none left.
    pub(crate) fn start() -> Result<Worker> {
        let failed = |error| Error::io(error, "cannot start the thread for HTTP");
        let mut builder = runtime::Builder::new_current_thread();
        let runtime =
            builder.enable_io().enable_time().max_blocking_threads(HELPERS).build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("curl".into()).spawn(move || {
            // Ends when told to, or when nobody is left to tell.
            let _ = runtime.block_on(stopped);
            // A resolver that hangs is not waited for.
            runtime.shutdown_background();
        });
        let thread = thread.map_err(failed)?;
        Ok(Worker { handle, running: Mutex::new(Some(Running { stop, thread })) })
    }

    /// Does `work` there, on behalf of `connection`.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        connection: &Connection,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let task = self.handle.spawn(work);
        let abort = task.abort_handle();
        let done = async {
            match task.await {
                Ok(result) => result,
                Err(error) if error.is_panic() => Err(Error::new(EIO, "a request to the server panicked")),
                Err(_) => Err(Error::new(ESHUTDOWN, "the plugin has been stopped")),
            }
        };
        let too_late = async {
            connection.gone().await;
            Timer::after(GRACE).await;
            abort.abort();
            Err(Error::new(ESHUTDOWN, "gave up a request to the server: the connection is closing"))
        };
        done.or(too_late).await
    }

    /// Ends the thread. Nothing is under way any more.
    pub(crate) fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { stop, thread }) = running {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}
