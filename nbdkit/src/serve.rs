// SPDX-License-Identifier: BSD-3-Clause
//! The running server: threads, accepting clients, and an orderly end.

use crate::{connection::Service, listen::Accepting, origin::Origin, wire::Wire};
use async_executor::Executor;
use async_io::Async;
use async_lock::Mutex;
use event_listener::Event;
use futures_lite::{FutureExt, Stream, StreamExt, future::yield_now, stream};
use futures_util::stream::FuturesUnordered;
use nbdkit_plugin::{Error, Result, ThreadModel};
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use std::{
    future::poll_fn,
    num::NonZero,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
    thread,
};

/// The signals that end the server in an orderly way.
fn ending() -> SigSet {
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

/// From now on those signals wait until somebody asks for them. Before the first thread is started: threads inherit
/// this. So do children, unless whoever starts them gives them an empty mask, as `nbdkit-subprocess` does.
pub fn hold_signals() -> Result<()> {
    ending().thread_block().map_err(|errno| Error::io(errno.into(), "sigprocmask"))
}

/// Runs `main` on this thread and on as many more as there are other CPUs. The threads watch the sockets themselves
/// when they have nothing else to do: one hop less than if another thread had to wake them.
pub fn run<T>(executor: &Arc<Executor<'static>>, main: impl Future<Output = T>) -> T {
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    let done = Event::new();
    for number in 1..cpus {
        let (executor, done) = (executor.clone(), done.listen());
        let builder = thread::Builder::new().name(format!("serve-{number}"));
        // With fewer threads it is slower, not wrong.
        let _ = builder.spawn(move || async_io::block_on(executor.run(done)));
    }
    // The executor polls its own future after every task it has run. What waits in `main` must be asked only when it
    // is woken: accept(2) and the signals would cost three system calls each time.
    let mut main: FuturesUnordered<_> = [main].into_iter().collect();
    let main = poll_fn(|cx| match Pin::new(&mut main).poll_next(cx) {
        Poll::Ready(Some(result)) => Poll::Ready(result),
        _ => Poll::Pending,
    });
    let result = async_io::block_on(executor.run(main));
    // Not joined: one may be stuck in a plugin whose request is left in flight.
    done.notify(usize::MAX);
    result
}

/// Serves clients until `signal` resolves or a component asks for the end, then answers what is in flight and closes
/// connections. A request that is stuck in a plugin holds the end until `signal` resolves again.
///
/// # Errors
/// When clients cannot be accepted any more; `EINTR` if requests are left in flight.
pub async fn serve(
    service: Arc<Service>,
    clients: Clients,
    mut signal: impl AsyncFnMut() -> Result<()>,
) -> Result<()> {
    let server = service.server.clone();
    let accepted = {
        // Polled first: a crowd at the door does not keep us from ending.
        let stop = signal().or(async {
            server.stopped().await;
            Ok(())
        });
        match clients {
            Clients::Listen(sockets) => stop.or(accept(&service, sockets)).await,
            Clients::One(wire, origin) => {
                let only = server.spawn(async move { service.serve(1, wire, origin).await });
                let ended = async {
                    only.join().await;
                    Ok(())
                };
                stop.or(ended).await
            }
        }
    };
    server.shutdown();
    let drained = async {
        server.drained().await;
        accepted
    };
    let impatient = async {
        signal().await?;
        Err(Error::new(libc::EINTR, "told to end a second time: ending with requests still in flight"))
    };
    drained.or(impatient).await
}

/// Where clients come from.
pub enum Clients {
    /// Sockets.
    Listen(Vec<Accepting>),
    /// `-s`: there is one.
    One(Wire, Origin),
}

async fn accept(service: &Arc<Service>, sockets: Vec<Accepting>) -> Result<()> {
    let door = Door::new(service.clone());
    let mut arrivals = stream::empty().boxed();
    for socket in sockets {
        let of_one = stream::unfold(socket, |socket| async move { Some((socket.accept().await, socket)) });
        arrivals = arrivals.or(of_one).boxed();
    }
    while let Some(arrival) = arrivals.next().await {
        let (wire, origin) = arrival.map_err(|error| Error::io(error, "accept"))?;
        door.enter(wire, origin);
        // A crowd that never ends would keep this thread from everything else, the end of the server included.
        yield_now().await;
    }
    Ok(())
}

/// The signals that end the process, one by one. Only after [`hold_signals`].
pub struct Signals(Async<SignalFd>);

impl Signals {
    /// Begins to look for them.
    pub fn new() -> Result<Signals> {
        let failed = |error: std::io::Error| Error::io(error, "signalfd");
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&ending(), flags).map_err(|errno| failed(errno.into()))?;
        Async::new(signals).map(Signals).map_err(failed)
    }

    /// Resolves when the next one has come.
    pub async fn next(&self) -> Result<()> {
        let read = self.0.read_with(|signals| match signals.read_signal() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(std::io::ErrorKind::WouldBlock.into()),
            Err(errno) => Err(errno.into()),
        });
        read.await.map_err(|error| Error::io(error, "signalfd"))
    }
}

/// Counts clients, and lets them in one at a time where the thread model says so.
struct Door {
    service: Arc<Service>,
    count: AtomicU64,
    one_at_a_time: Option<Arc<Mutex<()>>>,
}

impl Door {
    fn new(service: Arc<Service>) -> Door {
        let serial = service.chain.thread_model() == ThreadModel::SerializeConnections;
        Door { service, count: AtomicU64::new(0), one_at_a_time: serial.then(Arc::default) }
    }

    fn enter(&self, wire: Wire, origin: Origin) {
        let (service, turn) = (self.service.clone(), self.one_at_a_time.clone());
        let number = self.count.fetch_add(1, Relaxed) + 1;
        drop(self.service.server.spawn(async move {
            let _turn = match &turn {
                Some(turn) => Some(turn.lock().await),
                None => None,
            };
            service.serve(number, wire, origin).await;
        }));
    }
}
