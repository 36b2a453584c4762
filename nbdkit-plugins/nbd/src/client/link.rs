// SPDX-License-Identifier: BSD-3-Clause
//! [`Link`]: everything about the connection that changes. Whoever holds its lock does the work for all.

use super::{
    inbox::Inbox,
    outbox::Outbox,
    table::{Table, Ticket},
};
use crate::transport::{Received, Transport};
use nbd_proto::{
    Request,
    client::{Decoded, Session},
};
use nbdkit_plugin::{Buf, BufMut, EIO, ESHUTDOWN, Error, Result};
use std::task::{Context, Waker};

/// So often is read in a row before others have their turn: a server must not keep us busy for ever.
const ROUNDS: usize = 16;

/// The connection.
pub(crate) struct Link {
    transport: Transport,
    pub table: Table,
    pub outbox: Outbox,
    inbox: Inbox,
    /// The socket takes no more for now.
    blocked: bool,
    /// Somebody has promised to come again and send.
    pub promised: bool,
    /// Who is woken by the bell.
    pub answering: Option<Ticket>,
    /// To be woken once the lock is given back.
    woken: Vec<Waker>,
    ended: Option<Ended>,
}

/// Why nothing goes any more.
struct Ended {
    errno: i32,
    why: String,
}

impl Ended {
    fn closed(why: impl Into<String>) -> Ended {
        Ended { errno: ESHUTDOWN, why: why.into() }
    }

    fn nonsense(why: impl Into<String>) -> Ended {
        Ended { errno: EIO, why: why.into() }
    }

    fn error(&self) -> Error {
        Error::new(self.errno, self.why.clone())
    }
}

impl Link {
    pub(crate) fn new(transport: Transport, early: &[u8]) -> Link {
        Link {
            transport,
            table: Table::default(),
            outbox: Outbox::default(),
            inbox: Inbox::new(early),
            blocked: false,
            promised: false,
            answering: None,
            woken: Vec::new(),
            ended: None,
        }
    }

    /// # Errors
    /// Why nothing goes any more.
    pub(crate) fn check(&self) -> Result<()> {
        self.ended.as_ref().map_or(Ok(()), |ended| Err(ended.error()))
    }

    /// Who is to be woken once the lock is given back.
    pub(crate) fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    /// Sends and receives what goes now. `bell` is the context of the bell, which rings when more does; whether it has
    /// is `rung`.
    pub(crate) fn drive(&mut self, session: &Session, rung: bool, bell: &mut Context<'_>) {
        self.promised = false;
        if self.ended.is_none()
            && let Err(ended) = self.exchange(session, rung, bell)
        {
            self.end(ended);
        }
    }

    fn exchange(&mut self, session: &Session, rung: bool, bell: &mut Context<'_>) -> Result<(), Ended> {
        // A bell that rings is believed, whatever for: while another thread waits for events, async-io does not call a
        // socket ready that has just become so, but wakes whoever asks for it.
        self.blocked &= !rung;
        let mut readable = rung;
        loop {
            if !self.blocked {
                let sent = self.outbox.send(&mut self.transport);
                self.blocked = !sent.map_err(|why| Ended::closed(format!("write to server: {why}")))?;
            }
            if readable {
                self.receive(session, bell)?;
            }
            readable = self.transport.poll_readable(bell).is_ready();
            let writable = self.blocked && self.transport.poll_writable(bell).is_ready();
            self.blocked &= !writable;
            if !readable && !writable {
                return Ok(());
            }
        }
    }

    fn receive(&mut self, session: &Session, bell: &Context<'_>) -> Result<(), Ended> {
        // Some may have come with the end of the handshake.
        self.understand(session)?;
        for _ in 0..ROUNDS {
            let received = self.inbox.fill(&mut self.transport, &mut self.table);
            match received.map_err(|why| Ended::closed(format!("read from server: {why}")))? {
                Received::Nothing => return Ok(()),
                Received::End => return Err(Ended::closed("server closed the connection")),
                Received::Last(_) => return self.understand(session),
                Received::Some(_) => self.understand(session)?,
            }
        }
        // What is left may have been received and decrypted already, so that the socket would not ring for it.
        bell.waker().wake_by_ref();
        Ok(())
    }

    /// Acts on the replies that have come whole.
    fn understand(&mut self, session: &Session) -> Result<(), Ended> {
        let Link { table, inbox, woken, .. } = self;
        loop {
            if inbox.body.is_some() {
                let Some(body) = inbox.settle(table) else { return Ok(()) };
                if body.last {
                    woken.extend(table.finish(body.ticket));
                }
            }
            let (cookie, reply, last, consumed) =
                match session.decode(inbox.bytes(), |cookie| table.request(cookie)) {
                    Decoded::Reply { cookie, reply, last, consumed } => (cookie, reply, last, consumed),
                    Decoded::Fatal(why) => return Err(Ended::nonsense(why.to_string())),
                    Decoded::NeedInput(bytes) => {
                        inbox.want(bytes);
                        return Ok(());
                    }
                };
            let body = table.accept(Ticket(cookie), reply, last);
            inbox.body = body.map_err(|why| Ended::nonsense(format!("server sent nonsense: {why}")))?;
            inbox.consume(consumed);
            inbox.want(0);
            if last && inbox.body.is_none() {
                woken.extend(table.finish(Ticket(cookie)));
            }
        }
    }

    /// A request, to be sent with the next ones.
    ///
    /// # Errors
    /// Why nothing goes any more; that the request cannot be said.
    pub(crate) fn push(
        &mut self,
        session: &Session,
        mut request: Request,
        payload: Buf,
        buf: Option<BufMut>,
    ) -> Result<Ticket> {
        self.check()?;
        let ticket = self.table.begin(&mut request, buf);
        match session.encode(&request) {
            Ok(head) => self.outbox.push(head, payload),
            Err(why) => {
                self.woken.extend(self.table.finish(ticket));
                self.table.desert(ticket);
                return Err(Error::invalid(why.to_string()));
            }
        }
        Ok(ticket)
    }

    /// Says goodbye, if there still is somebody.
    pub(crate) fn close(&mut self, session: &Session) {
        if self.ended.is_none() {
            self.outbox.push(session.disconnect(), Buf::default());
            // A server that does not take even this learns it from the end of the connection.
            let _ = self.outbox.send(&mut self.transport);
            self.end(Ended::closed("the connection to the server has been closed"));
        }
    }

    fn end(&mut self, ended: Ended) {
        self.woken.extend(self.table.fail(|| ended.error()));
        self.outbox.clear();
        self.transport.close();
        self.ended = Some(ended);
    }
}
