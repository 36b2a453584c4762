// SPDX-License-Identifier: BSD-3-Clause
//! [`Pump`]: the task that moves the bytes of one SSH session, with as many requests under way as are asked for.
//!
//! libssh2 has an SFTP client of its own, but that does one thing at a time, and reads ahead four times what was asked
//! for; so only its SSH channel is used here.

use crate::{link::Link, traffic::Traffic};
use async_io::Timer;
use futures_lite::{FutureExt, future::yield_now};
use nbdkit_plugin::{Connection, Log};
use ssh2::BlockDirections;
use std::{
    future::pending,
    io::{self, Read, Write},
    time::Duration,
};

/// When the client has gone, a server that says nothing for so long is waited for no more.
const GRACE: Duration = Duration::from_secs(20);

/// Moves bytes until the lane is closed, or the session lost.
pub(crate) struct Pump {
    pub(crate) link: Link,
    /// A server that says nothing for so long, while something is asked of it, is lost.
    pub(crate) timeout: Option<Duration>,
    /// For messages.
    pub(crate) host: String,
    pub(crate) connection: Connection,
    pub(crate) log: Log,
    pub(crate) traffic: Traffic,
}

/// Why a pump that rested goes on.
enum Woken {
    /// There may be something to do.
    Busy,
    /// The client has gone.
    Leaving,
    /// Nothing came for too long.
    TooLate,
}

impl Pump {
    /// Runs to the end of the session.
    pub(crate) async fn run(mut self) {
        if let Err(why) = self.work().await {
            let why = format!("lost the SSH session with {}: {why}", self.host);
            self.log.debug(format_args!("{why}"));
            self.traffic.shared.lose(&why);
        }
    }

    async fn work(&mut self) -> Result<(), String> {
        loop {
            self.traffic.take_calls();
            self.send()?;
            let full = self.receive()?;
            if full || self.could_send() {
                // Others on this thread want to run, too.
                yield_now().await;
                continue;
            }
            let closing = self.traffic.shared.is_closing();
            if closing && self.traffic.is_idle() {
                return Ok(());
            }
            self.rest(closing).await?;
        }
    }

    /// Sends what the socket and the server's window take.
    fn send(&mut self) -> Result<(), String> {
        while !self.traffic.unsent().is_empty() {
            // After WouldBlock libssh2 wants to see the same bytes again: they stay where they are.
            match self.link.channel.write(self.traffic.unsent()) {
                Ok(0) => break,
                Ok(sent) => self.traffic.has_sent(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Takes what has come, and keeps the promises it answers. True if there is more.
    fn receive(&mut self) -> Result<bool, String> {
        let room = self.traffic.room();
        let space = room.len();
        match self.link.channel.read(room) {
            Ok(0) => Err("the server has closed it".to_owned()),
            Ok(received) => self.traffic.has_received(received).map(|()| received == space),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// True if there is something to send, and what stood in its way has gone: the server's word that its window is
    /// open again may have come while we received, and then the socket will not become readable because of it.
    fn could_send(&self) -> bool {
        !self.traffic.unsent().is_empty()
            && !self.waits_to_write()
            && self.link.channel.write_window().remaining > 0
    }

    fn waits_to_write(&self) -> bool {
        matches!(self.link.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both)
    }

    /// Sleeps until the socket is ready or something is asked.
    async fn rest(&mut self, closing: bool) -> Result<(), String> {
        let Some(news) = self.traffic.shared.news(closing) else { return Ok(()) };
        let news = async {
            news.await;
            Ok(Woken::Busy)
        };
        let readable = async { self.link.socket.readable().await.map(|()| Woken::Busy) };
        let writable = async {
            match self.waits_to_write() {
                true => self.link.socket.writable().await.map(|()| Woken::Busy),
                false => pending().await,
            }
        };
        let gone = self.connection.is_gone();
        let leaving = async {
            match gone {
                true => pending().await,
                false => self.connection.gone().await,
            }
            Ok(Woken::Leaving)
        };
        let patience = self.patience(gone);
        let too_late = async {
            match patience {
                Some(patience) => Timer::at(self.traffic.moved() + patience).await,
                None => pending().await,
            };
            Ok(Woken::TooLate)
        };
        match news.or(readable).or(writable).or(leaving).or(too_late).await {
            Ok(Woken::Busy) => Ok(()),
            Ok(Woken::Leaving) => {
                self.traffic.forgive();
                Ok(())
            }
            Ok(Woken::TooLate) => {
                let seconds = patience.unwrap_or_default().as_secs_f64();
                Err(format!("Timeout: no answer for {seconds} seconds"))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// How long a server that is asked something may say nothing.
    fn patience(&self, gone: bool) -> Option<Duration> {
        let patience = match gone {
            true => Some(self.timeout.unwrap_or(GRACE).min(GRACE)),
            false => self.timeout,
        };
        patience.filter(|_| !self.traffic.is_idle())
    }
}
