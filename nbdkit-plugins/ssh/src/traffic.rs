// SPDX-License-Identifier: BSD-3-Clause
//! [`Traffic`]: calls into packets, and packets into answers. No input or output here: what is to be sent is taken from
//! it, what has come is put into it.

use crate::{
    lane::{Call, Shared},
    wire::{self, Reply, Request, Status, code},
};
use nbdkit_plugin::{EACCES, EIO, ENOENT, EOPNOTSUPP, Error};
use std::{collections::HashMap, sync::Arc, time::Instant};

/// How much is made ready to be sent, in bytes: what is more waits in the queue, where it takes no second copy.
const AHEAD: usize = 1 << 20;
/// Room for what has been received: the longest packet, and some more behind it. In bytes.
const ROOM: usize = 2 * wire::LONGEST;

/// What is under way on one session.
pub(crate) struct Traffic {
    pub(crate) shared: Arc<Shared>,
    /// Of the open file, in the words of the server.
    handle: Vec<u8>,
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

impl Traffic {
    /// With the calls of `shared` about the file called `handle`. Requests are numbered from `next_id` on.
    pub(crate) fn new(shared: Arc<Shared>, handle: Vec<u8>, next_id: u32) -> Traffic {
        Traffic {
            shared,
            handle,
            flight: HashMap::new(),
            next_id,
            outbox: Vec::new(),
            sent: 0,
            inbox: vec![0; ROOM],
            received: 0,
            moved: Instant::now(),
        }
    }

    /// Whether nothing is asked, and nothing left to send.
    pub(crate) fn is_idle(&self) -> bool {
        self.flight.is_empty() && self.unsent().is_empty()
    }

    /// When something last moved, or the first of what is under way was asked.
    pub(crate) fn moved(&self) -> Instant {
        self.moved
    }

    /// The patience with the server begins anew.
    pub(crate) fn forgive(&mut self) {
        self.moved = Instant::now();
    }

    /// Makes queued calls ready to be sent.
    pub(crate) fn take_calls(&mut self) {
        while self.unsent().len() < AHEAD {
            let Some(call) = self.shared.take() else { return };
            if self.is_idle() {
                self.forgive();
            }
            self.begin(call);
        }
    }

    fn begin(&mut self, call: Call) {
        // By the time the number comes round again its first owner has been answered: they are few.
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let handle = &self.handle;
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

    /// What is to be sent.
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.outbox[self.sent..]
    }

    /// The first `sent` bytes of that are on their way.
    pub(crate) fn has_sent(&mut self, sent: usize) {
        self.sent += sent;
        self.forgive();
        if self.unsent().is_empty() {
            self.outbox.clear();
            self.sent = 0;
        } else if self.sent >= AHEAD {
            self.outbox.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Where to put what comes; never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.inbox[self.received..]
    }

    /// The first `received` bytes of that have come: answers the calls whose replies are complete.
    ///
    /// # Errors
    /// When these are no replies to what was asked. The session is of no use then.
    pub(crate) fn has_received(&mut self, received: usize) -> Result<(), String> {
        self.received += received;
        self.forgive();
        // Taken out, so that a call can be begun anew meanwhile; dropped, with the session, on errors.
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut opened = 0;
        while let Some(len) = wire::length(&inbox[opened..self.received])? {
            let Some(packet) = inbox[opened..self.received].get(..len) else { break };
            let (id, reply) = wire::reply(packet)?;
            let call = self.flight.remove(&id).ok_or("a reply to nothing")?;
            if let Some(call) = finish(call, reply)? {
                self.begin(call);
            }
            opened += len;
        }
        inbox.copy_within(opened..self.received, 0);
        self.received -= opened;
        self.inbox = inbox;
        Ok(())
    }
}

/// Whoever still waits learns that it is in vain, also when the pump is dropped in its tracks.
impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.lose("the SSH session has ended");
        self.flight.clear();
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

#[cfg(test)]
mod tests;
