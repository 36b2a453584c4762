// SPDX-License-Identifier: BSD-3-Clause
//! The running server: threads, accepting clients, and an orderly end.

use crate::{connection::Service, listen::Accepting, wire::Wire};
use async_executor::Executor;
use async_io::Async;
use async_lock::Mutex;
use futures_lite::{FutureExt, StreamExt, future, stream};
use nbdkit_plugin::{Error, Peer, Result, Server, ThreadModel};
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};

/// The signals that end the server in an orderly way.
fn ending() -> SigSet {
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

/// From now on those signals wait until somebody asks for them. Before the first thread is started: threads inherit
/// this, children that are started with `std::process::Command` do not.
pub fn hold_signals() -> Result<()> {
    ending().thread_block().map_err(|errno| Error::io(errno.into(), "sigprocmask"))
}

/// Gives those signals back their usual meaning.
pub fn release_signals() -> Result<()> {
    ending().thread_unblock().map_err(|errno| Error::io(errno.into(), "sigprocmask"))
}

/// Runs `main` on this thread and on as many more as there are other CPUs. The threads watch the sockets themselves
/// when they have nothing else to do: one hop less than if another thread had to wake them.
pub fn run<T>(executor: &Arc<Executor<'static>>, main: impl Future<Output = T>) -> T {
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    for number in 1..cpus {
        let executor = executor.clone();
        let builder = thread::Builder::new().name(format!("serve-{number}"));
        // With fewer threads it is slower, not wrong.
        let _ = builder.spawn(move || async_io::block_on(executor.run(future::pending::<()>())));
    }
    async_io::block_on(executor.run(main))
}

/// Serves clients until a signal comes or somebody asks for the end, then answers what is in flight, closes
/// connections and cleans up.
pub async fn serve(service: Arc<Service>, clients: Clients) -> Result<()> {
    let signals = signals()?;
    let server = service.server.clone();
    let accepted = match clients {
        Clients::Listen(sockets) => listen(&service, sockets, &signals).await,
        Clients::One(wire) => {
            let only = server.spawn(async move { service.serve(1, wire, Peer::Other).await });
            let ended = async {
                only.join().await;
                Ok(())
            };
            ended.or(stop_on_signal(&server, &signals)).await
        }
    };
    server.shutdown();
    // A request that is stuck in a plugin holds the end until a second signal.
    let drained = async {
        server.drained().await;
        true
    };
    let impatient = async {
        let _ = signals.readable().await;
        false
    };
    match drained.or(impatient).await {
        true => accepted,
        false => Err(Error::new(libc::EINTR, "second signal: ending with requests still in flight")),
    }
}

/// Where clients come from.
pub enum Clients {
    /// Sockets.
    Listen(Vec<Accepting>),
    /// `-s`: there is one.
    One(Wire),
}

async fn listen(service: &Arc<Service>, sockets: Vec<Accepting>, signals: &Async<SignalFd>) -> Result<()> {
    let door = Arc::new(Door::new(service.clone()));
    let mut clients = stream::empty().boxed();
    for socket in sockets {
        let arrivals = stream::unfold(socket, |socket| async move { Some((socket.accept().await, socket)) });
        clients = clients.or(arrivals).boxed();
    }
    let accept = async {
        while let Some(arrival) = clients.next().await {
            let (wire, peer) = arrival.map_err(|error| Error::io(error, "accept"))?;
            door.enter(wire, peer);
        }
        Ok(())
    };
    // Polled first: a crowd at the door does not keep us from ending.
    stop_on_signal(&service.server, signals).or(accept).await
}

async fn stop_on_signal(server: &Server, signals: &Async<SignalFd>) -> Result<()> {
    let signalled = async {
        signals.readable().await.map_err(|error| Error::io(error, "signalfd"))?;
        // Taken, so that a second one can be told from the first.
        let _ = signals.get_ref().read_signal();
        Ok(())
    };
    let asked = async {
        server.stopped().await;
        Ok(())
    };
    signalled.or(asked).await
}

fn signals() -> Result<Async<SignalFd>> {
    let failed = |error: std::io::Error| Error::io(error, "signalfd");
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    let signals = SignalFd::with_flags(&ending(), flags).map_err(|errno| failed(errno.into()))?;
    Async::new(signals).map_err(failed)
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

    fn enter(&self, wire: Wire, peer: Peer) {
        let (service, turn) = (self.service.clone(), self.one_at_a_time.clone());
        let number = self.count.fetch_add(1, Relaxed) + 1;
        drop(self.service.server.spawn(async move {
            let _turn = match &turn {
                Some(turn) => Some(turn.lock().await),
                None => None,
            };
            service.serve(number, wire, peer).await;
        }));
    }
}
