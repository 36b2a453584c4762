// SPDX-License-Identifier: BSD-3-Clause
//! [`Table`]: the requests in flight, and what has come of their answers.

use super::gather::Gather;
use crate::text::one_line;
use nbd_proto::{Command, Request, client::Reply};
use nbdkit_plugin::{BufMut, Data, EIO, Error, Extent, Extents, Result};
use std::task::Waker;

/// Reads of this many bytes are worth a system call of their own that needs no copy.
const LARGE: u64 = 64 << 10;
/// Status flags of `base:allocation`.
const HOLE: u64 = 1;
const ZERO: u64 = 2;

/// What the server has answered to a request.
pub(crate) enum Answer {
    Done,
    Data(Data),
    Extents(Extents),
}

/// A request in flight, for whoever has begun it; also its cookie: the number of its place, and above that how often the
/// place was taken, so that nothing answers a request that is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket(pub u64);

impl Ticket {
    fn place(self) -> usize {
        self.0 as u32 as usize
    }
}

/// Data of a read that comes next.
#[derive(Clone, Copy)]
pub(crate) struct Body {
    pub ticket: Ticket,
    /// From the start of the read, in bytes.
    pub at: usize,
    /// In bytes.
    pub left: usize,
    /// Then the request is answered.
    pub last: bool,
}

/// The requests in flight.
#[derive(Default)]
pub(crate) struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
    large: usize,
}

struct Place {
    ticket: Ticket,
    entry: Option<Entry>,
}

struct Entry {
    request: Request,
    coming: Coming,
    /// The first error that the server has sent.
    error: Option<Error>,
    answered: bool,
    /// Nobody wants to know the answer any more.
    deserted: bool,
    waker: Option<Waker>,
}

enum Coming {
    Nothing,
    Data(Gather),
    Extents(Option<Extents>),
}

impl Table {
    /// Takes a place for `request`, whose cookie it sets. `buf` is where a read goes, and as long.
    pub(crate) fn begin(&mut self, request: &mut Request, buf: Option<BufMut>) -> Ticket {
        let place = match self.free.pop() {
            Some(place) => place as usize,
            None => {
                // There are no more of them than the memory holds, which is below 2^32.
                self.places.push(Place { ticket: Ticket(self.places.len() as u64), entry: None });
                self.places.len() - 1
            }
        };
        let Place { ticket, entry } = &mut self.places[place];
        ticket.0 = ticket.0.wrapping_add(1 << 32);
        request.cookie = ticket.0;
        let coming = match (request.command, buf) {
            (Command::Read, Some(buf)) => Coming::Data(Gather::new(buf)),
            (Command::BlockStatus, _) => Coming::Extents(None),
            _ => Coming::Nothing,
        };
        *entry = Some(Entry {
            request: *request,
            coming,
            error: None,
            answered: false,
            deserted: false,
            waker: None,
        });
        self.large += usize::from(is_large(request));
        *ticket
    }

    fn entry(&self, ticket: Ticket) -> Option<&Entry> {
        let place = self.places.get(ticket.place()).filter(|place| place.ticket == ticket)?;
        place.entry.as_ref()
    }

    fn entry_mut(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        let place = self.places.get_mut(ticket.place()).filter(|place| place.ticket == ticket)?;
        place.entry.as_mut()
    }

    fn release(&mut self, ticket: Ticket) -> Option<Entry> {
        let place = self.places.get_mut(ticket.place()).filter(|place| place.ticket == ticket)?;
        let entry = place.entry.take()?;
        self.free.push(ticket.place() as u32);
        Some(entry)
    }

    /// The request that the server may answer by this cookie.
    pub(crate) fn request(&self, cookie: u64) -> Option<Request> {
        self.entry(Ticket(cookie)).filter(|entry| !entry.answered).map(|entry| entry.request)
    }

    /// Whether large reads are in flight.
    pub(crate) fn expects_much(&self) -> bool {
        self.large > 0
    }

    /// Takes note of a reply; the data that follows it, if it is for a read.
    ///
    /// # Errors
    /// What contradicts earlier replies.
    pub(crate) fn accept(
        &mut self,
        ticket: Ticket,
        reply: Reply<'_>,
        last: bool,
    ) -> Result<Option<Body>, &'static str> {
        let Some(entry) = self.entry_mut(ticket) else { return Ok(None) };
        let start = entry.request.offset;
        match (reply, &mut entry.coming) {
            (Reply::Error { code, message, .. }, _) => {
                let text = match message {
                    "" => format!("server answered {code}"),
                    _ => format!("server answered {code}: {}", one_line(message)),
                };
                entry.error.get_or_insert_with(|| Error::new(code.to_errno(), text));
            }
            // The decoder has checked that both lie within the read, whose length is one of 32 bits.
            (Reply::Data { offset, len }, Coming::Data(gather)) => {
                let at = (offset - start) as u32;
                gather.claim(at, len)?;
                return Ok(Some(Body { ticket, at: at as usize, left: len as usize, last }));
            }
            (Reply::Hole { offset, len }, Coming::Data(gather)) => {
                gather.hole((offset - start) as u32, len)?
            }
            (Reply::Status { .. }, Coming::Extents(Some(_))) => {
                return Err("two replies say where the holes are");
            }
            (Reply::Status { extents, .. }, Coming::Extents(none)) => {
                *none = Some(extents.map(|(len, flags)| extent(len, flags)).collect());
            }
            // The decoder lets nothing else through.
            _ => {}
        }
        Ok(None)
    }

    /// Where data goes.
    pub(crate) fn room(&mut self, body: &Body) -> &mut [u8] {
        match self.entry_mut(body.ticket).map(|entry| &mut entry.coming) {
            Some(Coming::Data(gather)) => gather.room(body.at, body.left),
            _ => &mut [],
        }
    }

    /// The last reply to a request has come; who is to be woken.
    pub(crate) fn finish(&mut self, ticket: Ticket) -> Option<Waker> {
        let entry = self.entry_mut(ticket)?;
        entry.answered = true;
        let (large, deserted, waker) = (is_large(&entry.request), entry.deserted, entry.waker.take());
        self.large -= usize::from(large);
        if deserted {
            self.release(ticket);
        }
        waker
    }

    /// Every request that was not answered fails with `why`; who is to be woken.
    pub(crate) fn fail(&mut self, mut why: impl FnMut() -> Error) -> Vec<Waker> {
        let open: Vec<Ticket> = self.open().map(|(ticket, _)| ticket).collect();
        let fail = |ticket| {
            self.entry_mut(ticket)?.error.get_or_insert_with(&mut why);
            self.finish(ticket)
        };
        open.into_iter().filter_map(fail).collect()
    }

    /// The answer, if it has come. Then the ticket is worth nothing any more.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Result<Answer>> {
        if !self.entry(ticket)?.answered {
            return None;
        }
        let entry = self.release(ticket)?;
        Some(match (entry.error, entry.coming) {
            (Some(error), _) => Err(error),
            (None, Coming::Nothing) => Ok(Answer::Done),
            (None, Coming::Data(gather)) => gather.finish().map(Answer::Data).map_err(|came| {
                let len = entry.request.len;
                Error::new(EIO, format!("server answered a read of {len} bytes with data for {came}"))
            }),
            (None, Coming::Extents(Some(extents))) => Ok(Answer::Extents(extents)),
            (None, Coming::Extents(None)) => Err(Error::new(EIO, "server did not say where the holes are")),
        })
    }

    /// Nobody waits any more.
    pub(crate) fn desert(&mut self, ticket: Ticket) {
        match self.entry_mut(ticket) {
            Some(entry) if !entry.answered => entry.deserted = true,
            _ => drop(self.release(ticket)),
        }
    }

    /// Who waits for the answer.
    pub(crate) fn waker(&mut self, ticket: Ticket) -> Option<&mut Option<Waker>> {
        self.entry_mut(ticket).map(|entry| &mut entry.waker)
    }

    /// Those not answered yet, from the place after that of `ticket` on.
    pub(crate) fn others(&self, ticket: Ticket) -> impl Iterator<Item = (Ticket, &Waker)> {
        let after = self.open().filter(move |(other, _)| other.place() > ticket.place());
        let before = self.open().filter(move |(other, _)| other.place() < ticket.place());
        after.chain(before).filter_map(|(ticket, entry)| Some((ticket, entry.waker.as_ref()?)))
    }

    fn open(&self) -> impl Iterator<Item = (Ticket, &Entry)> {
        let entries = self.places.iter().filter_map(|place| Some((place.ticket, place.entry.as_ref()?)));
        entries.filter(|(_, entry)| !entry.answered)
    }
}

fn is_large(request: &Request) -> bool {
    request.command == Command::Read && request.len >= LARGE
}

fn extent(len: u64, flags: u64) -> Extent {
    Extent { len, hole: flags & HOLE != 0, zero: flags & ZERO != 0 }
}
