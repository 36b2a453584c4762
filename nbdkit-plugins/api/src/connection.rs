// SPDX-License-Identifier: BSD-3-Clause
//! [`Connection`] and [`OpenRequest`]: who asks, and for what.

use crate::{Disk, ESHUTDOWN, Error, Log, Op, Opened, Pool, Result, Server, SyncDisk, latch::Latch, sync};
use async_io::Timer;
use futures_lite::FutureExt;
use std::{
    any::Any,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Where a client comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Peer {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix domain socket.
    Unix,
    /// Another machine of the same host.
    Vsock {
        /// Context id.
        cid: u32,
        /// Port.
        port: u32,
    },
    /// Standard input and output, or a socket of an unknown kind.
    Other,
}

/// The process behind a Unix domain socket, as the kernel saw it when the client connected (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Process id; 0 if it is in a namespace that ours does not see.
    pub pid: i32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

/// The certificate that a client has shown (`--tls-verify-peer`), and that was found good. Names are in the form of
/// RFC 4514: `CN=client,O=Example`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Whom it is for.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
}

/// What is known of one connection. Cheap to clone; a disk or layer keeps what it needs of it.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    server: Server,
    number: u64,
    peer: Peer,
    credentials: Option<Credentials>,
    security_label: Option<String>,
    pool: Pool,
    gone: Latch,
    aborted: Latch,
    log: Log,
    /// `None` once the connection has ended.
    held: Mutex<Option<Vec<Box<dyn Any + Send>>>>,
}

impl Connection {
    /// `number` counts connections from 1 and appears in messages.
    pub fn new(server: &Server, number: u64, peer: Peer) -> Connection {
        Connection(Arc::new(Inner {
            server: server.clone(),
            number,
            peer,
            credentials: None,
            security_label: None,
            pool: Pool::new(),
            gone: Latch::default(),
            aborted: Latch::default(),
            log: server.log().connection(number),
            held: Mutex::new(Some(Vec::new())),
        }))
    }

    /// Adds what the kernel knows of the process at the other end of a Unix domain socket. Only while there is one
    /// handle; later it has no effect.
    #[must_use]
    pub fn with_process(mut self, credentials: Option<Credentials>, security_label: Option<String>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            (inner.credentials, inner.security_label) = (credentials, security_label);
        }
        self
    }

    /// Counts from 1.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Where the client comes from.
    pub fn peer(&self) -> Peer {
        self.0.peer
    }

    /// The process behind a Unix domain socket; `None` for other peers.
    pub fn credentials(&self) -> Option<Credentials> {
        self.0.credentials
    }

    /// Its label under SELinux or another security module (`SO_PEERSEC`); `None` where there is none.
    pub fn security_label(&self) -> Option<&str> {
        self.0.security_label.as_deref()
    }

    /// The process it belongs to.
    pub fn server(&self) -> &Server {
        &self.0.server
    }

    /// The buffers of this connection.
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// Speaks on behalf of this connection.
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// Closes the connection: requests in flight are finished, nothing more is read.
    pub fn disconnect(&self) {
        self.0.gone.set();
    }

    /// Closes the connection at once: what is in flight is finished, but the client gets no more replies.
    pub fn abort(&self) {
        self.0.aborted.set();
        self.0.gone.set();
    }

    /// Whether [`abort`](Connection::abort) was called.
    pub fn is_aborted(&self) -> bool {
        self.0.aborted.is_set()
    }

    /// Keeps `guard` for as long as the connection lasts, and drops it then. However it ends (a port scan, a failed TLS
    /// handshake, a crash of the client, a polite goodbye), it does so once: what counts clients is counted with this.
    pub fn hold(&self, guard: impl Send + 'static) {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guards) = held.as_mut() {
            guards.push(Box::new(guard));
        }
        // After the end the guard goes at once, and without the lock.
        drop(held);
    }

    /// The connection has ended: its disk is closed, and everything it [held](Connection::hold) goes, the last first. The
    /// server calls this before the client can see the end, so that a client which comes back finds itself gone.
    pub fn end(&self) {
        self.0.release();
    }

    /// Sleeps for `time`, unless the client goes or the server stops meanwhile.
    ///
    /// # Errors
    /// `ESHUTDOWN` as soon as that happens.
    pub async fn nap(&self, time: Duration) -> Result<()> {
        let gone = async {
            self.gone().await;
            Err(Error::new(ESHUTDOWN, format!("a wait of {time:?} was cut short: the connection is closing")))
        };
        let woken = async {
            Timer::after(time).await;
            Ok(())
        };
        gone.or(woken).await
    }

    /// Whether the client has gone, was sent away, or the server stops.
    pub fn is_gone(&self) -> bool {
        self.0.gone.is_set() || self.0.server.stopping()
    }

    /// Resolves when [`is_gone`](Connection::is_gone) becomes true: what a sleeping layer races against.
    pub async fn gone(&self) {
        self.0.gone.wait().or(self.0.server.stopped()).await;
    }
}

impl Inner {
    fn release(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        held.into_iter().flatten().rev().for_each(drop);
    }
}

/// Where no server says that it has ended, such as in tests, the last handle does.
impl Drop for Inner {
    fn drop(&mut self) {
        self.release();
    }
}

/// All there is to know when an export is opened. Plain fields: a filter changes what it likes and passes it on.
#[derive(Clone)]
#[non_exhaustive]
pub struct OpenRequest {
    /// Name of the export as the client sent it; often empty.
    pub export: Arc<str>,
    /// The disk will not be written (`-r`, or a filter that keeps writes to itself).
    pub read_only: bool,
    /// The client speaks TLS.
    pub tls: bool,
    /// The certificate it has shown, if any was asked for.
    pub certificate: Option<Arc<Certificate>>,
    /// The connection.
    pub connection: Connection,
    log: Log,
}

impl OpenRequest {
    /// For the export named `export` on behalf of `connection`.
    pub fn new(connection: &Connection, export: &str) -> OpenRequest {
        OpenRequest {
            export: export.into(),
            read_only: false,
            tls: false,
            certificate: None,
            connection: connection.clone(),
            log: connection.log().clone(),
        }
    }

    /// The buffers of the connection.
    pub fn pool(&self) -> Pool {
        self.connection.pool().clone()
    }

    /// Speaks for the component that is being opened.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The same request, handed to `component`: its messages carry that name.
    pub fn to(mut self, component: &str) -> OpenRequest {
        self.log = self.connection.log().named(component);
        self
    }

    /// Answers with an asynchronous disk.
    pub fn ready(&self, disk: impl Disk) -> Opened {
        Op::ok(Arc::new(disk))
    }

    /// Answers with a disk in plain code that never sleeps: every call runs in the connection's own task.
    pub fn inline<D: SyncDisk>(&self, disk: D) -> Opened {
        let pool = self.pool();
        Op::now(|| Ok(Arc::new(sync::Inline::new(disk, pool)?) as Arc<dyn Disk>))
    }

    /// Answers with a disk in plain code that may sleep: `open` and all later calls run on a pool of threads.
    pub fn blocking<D: SyncDisk>(&self, open: impl FnOnce() -> Result<D> + Send + 'static) -> Opened {
        let pool = self.pool();
        Op::blocking(move || Ok(Arc::new(sync::Blocking::new(open()?, pool)?) as Arc<dyn Disk>))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogSink;
    use std::{fmt, sync::mpsc};

    struct Silence;

    impl LogSink for Silence {
        fn error(&self, _: &str, _: fmt::Arguments<'_>) {}
        fn debug(&self, _: &str, _: fmt::Arguments<'_>) {}
        fn verbose(&self) -> bool {
            false
        }
    }

    /// Tells when it goes.
    struct Guard(u32, mpsc::Sender<u32>);

    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.1.send(self.0);
        }
    }

    #[test]
    fn what_a_connection_holds_goes_with_it() {
        let server = Server::new(Arc::default(), Arc::new(Silence));
        let (tell, told) = mpsc::channel();
        let connection = Connection::new(&server, 1, Peer::Other);
        let background = connection.clone();
        connection.hold(Guard(1, tell.clone()));
        connection.hold(Guard(2, tell.clone()));
        assert!(told.try_recv().is_err());
        connection.end();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [2, 1], "whoever still has a handle");
        background.hold(Guard(3, tell.clone()));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [3], "too late to be held");

        let forgotten = Connection::new(&server, 2, Peer::Other);
        forgotten.hold(Guard(4, tell));
        drop(forgotten);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [4], "nobody said that it has ended");
    }
}
