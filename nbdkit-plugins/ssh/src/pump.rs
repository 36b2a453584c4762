// SPDX-License-Identifier: BSD-3-Clause
//! [`Pump`]: the task that moves the bytes of one SSH session, with as many requests under way as are asked for.
//!
//! libssh2 has an SFTP client of its own, but that does one thing at a time, and reads ahead four times what was asked
//! for; so only its SSH channel is used here.

use crate::{
    lane::{Call, Shared},
    wire::{self, Reply, Request, Status, code},
};
use async_io::{Async, Timer};
use futures_lite::{FutureExt, future::yield_now};
use nbdkit_plugin::{Connection, EACCES, EIO, ENOENT, EOPNOTSUPP, Error, Log};
use ssh2::{BlockDirections, Channel, Session};
use std::{
    collections::HashMap,
    future::pending,
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

/// How much is made ready to be sent, in bytes: what is more waits in the queue, where it takes no second copy.
const AHEAD: usize = 1 << 20;
/// Room for what has been received: the longest packet, and some more behind it. In bytes.
const ROOM: usize = 2 * wire::LONGEST;
/// When the client has gone, a server that says nothing for so long is waited for no more.
const GRACE: Duration = Duration::from_secs(20);

/// Moves bytes until the lane is closed, or the session lost.
pub(crate) struct Pump {
    pub(crate) session: Session,
    pub(crate) channel: Channel,
    pub(crate) socket: Arc<Async<TcpStream>>,
    /// Of the open file, in the words of the server.
    pub(crate) handle: Vec<u8>,
    /// A server that says nothing for so long, while something is asked of it, is lost.
    pub(crate) timeout: Option<Duration>,
    /// For messages.
    pub(crate) host: String,
    pub(crate) connection: Connection,
    pub(crate) log: Log,
    pub(crate) traffic: Traffic,
}

/// What is under way.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    flight: HashMap<u32, Call>,
    next_id: u32,
    /// To send, but for the first `sent` bytes.
    outbox: Vec<u8>,
    sent: usize,
    /// Received are the first `received` bytes.
    inbox: Vec<u8>,
    received: usize,
    moved: Instant,
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

impl Traffic {
    pub(crate) fn new(shared: Arc<Shared>, next_id: u32) -> Traffic {
        Traffic {
            shared,
            flight: HashMap::new(),
            next_id,
            outbox: Vec::new(),
            sent: 0,
            inbox: vec![0; ROOM],
            received: 0,
            moved: Instant::now(),
        }
    }
}

/// Whoever still waits learns why in vain, also when the pump is dropped in its tracks.
impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.lose("the SSH session has ended");
        self.flight.clear();
    }
}

impl Pump {
    /// Runs to the end of the session.
    pub(crate) async fn run(mut self) {
        if let Err(why) = self.work().await {
            let why = format!("lost the SSH session with {}: {why}", self.host);
            self.log.debug(format_args!("{why}"));
            self.traffic.shared.lose(&why);
        }
        // A farewell is polite, and nothing depends on it.
        let _ = self.session.disconnect(None, "", None);
    }

    async fn work(&mut self) -> Result<(), String> {
        loop {
            self.traffic.take_calls(&self.handle);
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
        let traffic = &mut self.traffic;
        while traffic.sent < traffic.outbox.len() {
            // After WouldBlock libssh2 wants to see the same bytes again: they stay where they are.
            match self.channel.write(&traffic.outbox[traffic.sent..]) {
                Ok(0) => break,
                Ok(sent) => traffic.has_sent(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Takes what has come, and keeps the promises it answers. True if there is more.
    fn receive(&mut self) -> Result<bool, String> {
        let traffic = &mut self.traffic;
        let room = &mut traffic.inbox[traffic.received..];
        let space = room.len();
        match self.channel.read(room) {
            Ok(0) => Err("the server has closed it".to_owned()),
            Ok(received) => {
                traffic.received += received;
                traffic.moved = Instant::now();
                traffic.open_packets(&self.handle)?;
                Ok(received == space)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// True if there is something to send, and what stood in its way has gone: the server's word that its window is
    /// open again may have come while we received, and then the socket will not become readable because of it.
    fn could_send(&self) -> bool {
        let unsent = self.traffic.sent < self.traffic.outbox.len();
        unsent && !self.waits_to_write() && self.channel.write_window().remaining > 0
    }

    fn waits_to_write(&self) -> bool {
        matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both)
    }

    /// Sleeps until the socket is ready or something is asked.
    async fn rest(&mut self, closing: bool) -> Result<(), String> {
        let Some(news) = self.traffic.shared.news(closing) else { return Ok(()) };
        let news = async {
            news.await;
            Ok(Woken::Busy)
        };
        let readable = async { self.socket.readable().await.map(|()| Woken::Busy) };
        let writable = async {
            match self.waits_to_write() {
                true => self.socket.writable().await.map(|()| Woken::Busy),
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
                Some(patience) => Timer::at(self.traffic.moved + patience).await,
                None => pending().await,
            };
            Ok(Woken::TooLate)
        };
        match news.or(readable).or(writable).or(leaving).or(too_late).await {
            Ok(Woken::Busy) => Ok(()),
            Ok(Woken::Leaving) => {
                self.traffic.moved = Instant::now();
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

impl Traffic {
    fn is_idle(&self) -> bool {
        self.flight.is_empty() && self.sent == self.outbox.len()
    }

    fn has_sent(&mut self, sent: usize) {
        self.sent += sent;
        self.moved = Instant::now();
        if self.sent == self.outbox.len() {
            self.outbox.clear();
            self.sent = 0;
        } else if self.sent >= AHEAD {
            self.outbox.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Makes queued calls ready to be sent.
    fn take_calls(&mut self, handle: &[u8]) {
        while self.outbox.len() - self.sent < AHEAD {
            let Some(call) = self.shared.take() else { return };
            if self.is_idle() {
                // The patience with the server begins now.
                self.moved = Instant::now();
            }
            self.begin(call, handle);
        }
    }

    fn begin(&mut self, call: Call, handle: &[u8]) {
        // By the time the number comes round again its first owner has been answered: they are few.
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let request = match &call {
            Call::Read { buf, filled, offset, .. } => {
                let rest = buf.len() - filled;
                Request::Read { handle, offset: offset + *filled as u64, len: rest as u32 }
            }
            Call::Write { data, offset, .. } => Request::Write { handle, offset: *offset, data },
            Call::Sync(_) => Request::Sync { handle },
            Call::Attributes(_) => Request::Attributes { handle },
        };
        request.write(id, &mut self.outbox);
        self.flight.insert(id, call);
    }

    /// Answers the calls whose replies are complete.
    fn open_packets(&mut self, handle: &[u8]) -> Result<(), String> {
        // Taken out, so that a call can be begun anew meanwhile; dropped, with the session, on errors.
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut opened = 0;
        while let Some(len) = wire::length(&inbox[opened..self.received])? {
            let Some(packet) = inbox[opened..self.received].get(..len) else { break };
            let (id, reply) = wire::reply(packet)?;
            let call = self.flight.remove(&id).ok_or("a reply to nothing")?;
            if let Some(call) = finish(call, reply)? {
                self.begin(call, handle);
            }
            opened += len;
        }
        inbox.copy_within(opened..self.received, 0);
        self.received -= opened;
        self.inbox = inbox;
        Ok(())
    }
}

/// Keeps the promise of a call; gives the call back if it is not complete.
///
/// # Errors
/// When this is no reply to such a call: the server is not to be trusted any further.
fn finish(call: Call, reply: Reply) -> Result<Option<Call>, String> {
    match (call, reply) {
        (Call::Read { mut buf, filled, offset, done }, Reply::Data(data)) => {
            let rest = &mut buf[filled..];
            if data.is_empty() || data.len() > rest.len() {
                return Err(format!("{} bytes where {} were asked for", data.len(), rest.len()));
            }
            rest[..data.len()].copy_from_slice(data);
            let filled = filled + data.len();
            if filled < buf.len() {
                return Ok(Some(Call::Read { buf, filled, offset, done }));
            }
            done.keep(Ok(buf.freeze()));
        }
        (Call::Read { done, .. }, Reply::Status(status)) => done.keep(Err(refused(status)?)),
        (Call::Write { done, .. } | Call::Sync(done), Reply::Status(status)) => {
            done.keep(if status.code == code::OK { Ok(()) } else { Err(refused(status)?) });
        }
        (Call::Attributes(done), Reply::Attributes(attributes)) => done.keep(Ok(attributes)),
        (Call::Attributes(done), Reply::Status(status)) => done.keep(Err(refused(status)?)),
        _ => return Err("a reply of the wrong kind".to_owned()),
    }
    Ok(None)
}

/// What the server refuses, as an error.
///
/// # Errors
/// When it does not refuse anything.
pub(crate) fn refused(status: Status) -> Result<Error, String> {
    let errno = match status.code {
        code::OK => return Err("success where data was asked for".to_owned()),
        code::EOF => return Ok(Error::new(EIO, "the remote file is shorter now than when it was opened")),
        code::NO_SUCH_FILE => ENOENT,
        code::PERMISSION_DENIED => EACCES,
        code::UNSUPPORTED => EOPNOTSUPP,
        _ => EIO,
    };
    let message = match &*status.message {
        "" => format!("SFTP server: error {}", status.code),
        message => format!("SFTP server: {message}"),
    };
    Ok(Error::new(errno, message))
}
