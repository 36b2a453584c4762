// SPDX-License-Identifier: BSD-3-Clause
//! The life of one connection: preconnect, handshake, transmission, close. A connection is one future.

mod flight;
mod inbox;
mod line;
mod negotiate;
mod outbox;
mod reply;
mod state;
mod transmit;

use crate::{
    origin::Origin,
    tls::Offer,
    wire::{Ending, Wire},
};
use futures_lite::FutureExt;
use libc::{ECONNRESET, EPIPE, ESHUTDOWN};
use nbd_proto::server::Config;
use nbdkit_filter::Next;
use nbdkit_plugin::{Connection, EIO, Error, Op, Result, Server};
use nbdkit_spin::Bustle;
use std::{panic::AssertUnwindSafe, time::Duration};

/// What is the same for all connections.
pub struct Service {
    /// Who runs us.
    pub server: Server,
    /// Filters and plugin.
    pub chain: Next,
    /// The plugin, in whose name clients are spoken of.
    pub plugin: &'static str,
    /// What is offered to clients.
    pub config: Config,
    /// How clients encrypt that ask for it, as `config` says that they may.
    pub tls: Option<Offer>,
    /// `-r`.
    pub read_only: bool,
    /// `-t`: how many operations of one connection may be under way at once.
    pub threads: usize,
    /// `--timeout`: how long a handshake may take.
    pub timeout: Option<Duration>,
    /// How many connections may spin.
    pub bustle: Bustle,
}

impl Service {
    /// Serves one client to its end. `number` counts connections from 1.
    pub async fn serve(&self, number: u64, mut wire: Wire, origin: Origin) {
        let Origin { peer, credentials, security_label } = origin;
        let connection =
            Connection::new(&self.server, number, peer).with_process(credentials, security_label);
        connection.log().debug(format_args!("accepted connection from {peer:?}"));
        if let Err(error) = self.talk(&mut wire, &connection).await {
            let log = connection.log().named(self.plugin);
            match error.errno() {
                // Somebody who hangs up while we talk, or is there when we end, is not worth a line.
                EPIPE | ECONNRESET | ESHUTDOWN => log.debug(format_args!("{error}")),
                _ => log.error(format_args!("{error}")),
            }
        }
        match wire.ending() {
            Some(Ending::Orderly) => connection.log().debug(format_args!("client ended TLS in good order")),
            // Some clients never say it; one that is cut off cannot.
            Some(Ending::Cut) => connection.log().debug(format_args!("client ended without close_notify")),
            None => {}
        }
        connection.end();
        wire.shutdown();
        connection.log().debug(format_args!("connection closed"));
    }

    async fn talk(&self, wire: &mut Wire, connection: &Connection) -> Result<()> {
        survive(|| self.chain.preconnect(connection.clone())).await?;
        let Some(open) = negotiate::negotiate(self, wire, connection).await? else { return Ok(()) };
        let negotiate::Open { session, disk, early } = open;
        let log = connection.log().named(self.plugin);
        let transmission = transmit::Transmission {
            wire,
            session: &session,
            disk: &*disk,
            connection,
            log: &log,
            threads: self.threads,
            bustle: &self.bustle,
        };
        let goodbye = transmission.run(&early).await;
        if let Ok(transmit::Goodbye::Polite) = goodbye
            && let Err(error) = survive(|| disk.finalize()).await
        {
            log.error(format_args!("finalize: {error}"));
        }
        if let Err(error) = survive(|| disk.close()).await {
            log.error(format_args!("close: {error}"));
        }
        goodbye.map(drop)
    }
}

/// Awaits an operation of a plugin or filter; one that panics has failed, and no more than that.
async fn survive<'a, T>(op: impl FnOnce() -> Op<'a, T>) -> Result<T> {
    let future = AssertUnwindSafe(async { op().await });
    future.catch_unwind().await.unwrap_or_else(|_| Err(Error::new(EIO, "a plugin or filter panicked")))
}
