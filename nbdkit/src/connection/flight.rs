// SPDX-License-Identifier: BSD-3-Clause
//! From a request to the operation of the disk, done at once or in flight.

use futures_util::stream::{FuturesUnordered, StreamExt};
use nbd_proto::{Command, Request, wire::CommandFlags};
use nbdkit_plugin::{Buf, Data, Disk, EIO, Error, Extents, FileRange, Flags, Op, Pool, Result, Span, Wait};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// What an operation has to say to the client.
pub enum Body {
    /// Done.
    Done,
    /// What was read. Of files only those ranges are left in it that the wire can send.
    Data(Data),
    /// Where the holes are.
    Extents(Extents),
}

/// A request that has been carried out, or has failed.
pub struct Answer {
    /// The request.
    pub request: Request,
    /// How it went.
    pub result: Result<Body>,
}

/// An operation that has begun and is awaited to its end.
struct InFlight<'d> {
    request: Request,
    pending: Pending<'d>,
}

enum Pending<'d> {
    Data(Wait<'d, Data>),
    Done(Wait<'d, ()>),
    Extents(Wait<'d, Extents>),
}

impl Future for InFlight<'_> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let request = self.request;
        let pending = &mut self.pending;
        let polled = survive(|| match pending {
            Pending::Data(wait) => wait.as_mut().poll(cx).map_ok(Body::Data),
            Pending::Done(wait) => wait.as_mut().poll(cx).map_ok(|()| Body::Done),
            Pending::Extents(wait) => wait.as_mut().poll(cx).map_ok(Body::Extents),
        });
        polled.unwrap_or_else(|error| Poll::Ready(Err(error))).map(|result| Answer { request, result })
    }
}

/// A plugin that panics costs one request, not the server. What it was in the middle of is its own affair: it is not
/// called for this request again.
fn survive<T>(call: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Error::new(EIO, "a plugin or filter panicked"))
}

/// The operations of one connection that are under way.
pub struct Flight<'d> {
    disk: &'d dyn Disk,
    pool: &'d Pool,
    /// Which ranges of files are left for the wire to send.
    keep: fn(&FileRange) -> bool,
    set: FuturesUnordered<InFlight<'d>>,
    /// Bytes of payload that they hold or will.
    bytes: u64,
}

impl<'d> Flight<'d> {
    /// None yet.
    pub fn new(disk: &'d dyn Disk, pool: &'d Pool, keep: fn(&FileRange) -> bool) -> Flight<'d> {
        Flight { disk, pool, keep, set: FuturesUnordered::new(), bytes: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Bytes of payload that they hold or will.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Begins the operation. The answer, if it is there at once.
    pub fn start(&mut self, request: Request, payload: Buf) -> Option<Answer> {
        match survive(|| self.begin(&request, payload)) {
            Ok(Begun::Answered(result)) => Some(Answer { request, result }),
            Ok(Begun::Pending(pending)) => {
                self.bytes += cost(&request);
                self.set.push(InFlight { request, pending });
                None
            }
            Err(error) => Some(Answer { request, result: Err(error) }),
        }
    }

    fn begin(&self, request: &Request, payload: Buf) -> Begun<'d> {
        let Flight { disk, pool, keep, .. } = *self;
        let (span, flags) = (Span::new(request.offset, request.len), flags(request));
        match request.command {
            Command::Read => {
                // The decoder lets no read beyond its limit through, which is below 4 GiB.
                let len = request.len as u32;
                let data = disk.pread(len, request.offset).and_then(move |data| {
                    match data.len() == u64::from(len) {
                        true => data.fetch(pool, keep),
                        false => Op::err(Error::new(
                            EIO,
                            format!("read {} bytes where {len} were asked for", data.len()),
                        )),
                    }
                });
                match data {
                    Op::Ready(result) => Begun::Answered(result.map(Body::Data)),
                    Op::Wait(wait) => Begun::Pending(Pending::Data(wait)),
                }
            }
            Command::BlockStatus if !disk.info().extents => {
                Begun::Answered(Ok(Body::Extents(Extents::data(request.len))))
            }
            Command::BlockStatus => match disk.extents(span, flags) {
                Op::Ready(result) => Begun::Answered(result.map(Body::Extents)),
                Op::Wait(wait) => Begun::Pending(Pending::Extents(wait)),
            },
            Command::Write => done(disk.pwrite(payload, request.offset, flags)),
            Command::Flush => done(disk.flush()),
            Command::Trim => done(disk.trim(span, flags)),
            Command::WriteZeroes => done(disk.zero(span, flags)),
            Command::Cache => done(disk.cache(span)),
        }
    }

    /// The next operation that ends. `Pending` too when there are none.
    pub fn poll_landed(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        match self.set.poll_next_unpin(cx) {
            Poll::Ready(Some(answer)) => {
                self.bytes -= cost(&answer.request);
                Poll::Ready(answer)
            }
            _ => Poll::Pending,
        }
    }
}

/// Bytes of payload that a request holds while it is under way.
pub fn cost(request: &Request) -> u64 {
    match request.command {
        Command::Read | Command::Write => request.len,
        _ => 0,
    }
}

enum Begun<'d> {
    Answered(Result<Body>),
    Pending(Pending<'d>),
}

fn done(op: Op<'_, ()>) -> Begun<'_> {
    match op {
        Op::Ready(result) => Begun::Answered(result.map(|()| Body::Done)),
        Op::Wait(wait) => Begun::Pending(Pending::Done(wait)),
    }
}

fn flags(request: &Request) -> Flags {
    let has = |flag| request.flags.contains(flag);
    Flags {
        fua: has(CommandFlags::FUA) && request.command.writes(),
        may_trim: request.command == Command::WriteZeroes && !has(CommandFlags::NO_HOLE),
        fast_zero: has(CommandFlags::FAST_ZERO),
        req_one: has(CommandFlags::REQ_ONE),
    }
}
