// SPDX-License-Identifier: BSD-3-Clause
//! The load: keeps a number of requests in flight on each connection, and judges every answer.
//!
//! It batches like a good client: whatever can be sent leaves in one `writev`, whatever has come is taken by one
//! `read`. It must cost less than any server, or it would measure itself; its CPU time stands in the results.

use std::io::IoSlice;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use nbd_proto::client::{Decoded, Reply};
use nbd_proto::{Command, Request};
use nix::time::{ClockId, clock_gettime};

use super::connection::Connection;
use super::content::{BLOCK, Content, Look};
use super::walk::{Order, Walk};
use crate::process::{Context, Failure, Result};

/// One in so many requests has every byte looked at.
const WHOLE_EVERY: u64 = 64;

/// What a load does.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// [`Command::Read`] or [`Command::Write`].
    pub command: Command,
    pub order: Order,
    /// Bytes of a request, a multiple of [`BLOCK`].
    pub size: usize,
    /// Requests in flight on each connection.
    pub depth: usize,
    pub connections: usize,
}

/// When a load has done enough; what is in flight by then is awaited.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    Passed(Duration),
    /// On each connection.
    Requests(u64),
}

/// What a load has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    pub requests: u64,
    pub elapsed: Duration,
    /// CPU time of the load itself.
    pub cpu: Duration,
}

/// Runs the job on the connections, of which there are [`Job::connections`].
pub fn run(
    connections: &mut [Connection],
    content: &Content,
    job: Job,
    until: Until,
    round: u64,
) -> Result<Done> {
    let lanes = connections.len() as u64;
    let walk = |lane| Walk::new(job.order, content.size(), job.size as u64, (lane, lanes), round);
    if let [connection] = connections {
        return drive(connection, content, job, until, walk(0));
    }
    let together = Barrier::new(connections.len());
    let done: Result<Vec<Done>> = thread::scope(|scope| {
        let drivers = (0..).zip(connections).map(|(lane, connection)| {
            let together = &together;
            scope.spawn(move || {
                together.wait();
                drive(connection, content, job, until, walk(lane))
            })
        });
        let drivers: Vec<_> = drivers.collect();
        let joined =
            drivers.into_iter().map(|driver| driver.join().unwrap_or_else(|_| Err("panicked".into())));
        joined.collect()
    });
    Ok(done?.into_iter().fold(Done::default(), |all, one| Done {
        requests: all.requests + one.requests,
        elapsed: all.elapsed.max(one.elapsed),
        cpu: all.cpu + one.cpu,
    }))
}

/// Runs the job on one connection, at the offsets of `walk`.
pub fn drive(
    connection: &mut Connection,
    content: &Content,
    job: Job,
    until: Until,
    mut walk: impl Iterator<Item = u64>,
) -> Result<Done> {
    let mut driver = Driver::new(connection, content, job);
    let (began, cpu) = (Instant::now(), thread_cpu());
    loop {
        let more = match until {
            Until::Passed(limit) if began.elapsed() < limit => u64::MAX,
            Until::Passed(_) => 0,
            Until::Requests(count) => count - driver.begun,
        };
        driver.send(&mut walk, more)?;
        if driver.free.len() == driver.slots.len() {
            break;
        }
        driver.receive()?;
    }
    Ok(Done { requests: driver.begun, elapsed: began.elapsed(), cpu: thread_cpu().saturating_sub(cpu) })
}

fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// A place for a request in flight; its number is the cookie.
#[derive(Clone, Copy)]
struct Slot {
    request: Option<Request>,
    /// Bytes of a read that have come.
    got: u64,
    look: Look,
}

/// Data of a read that is still to come.
struct Body {
    slot: usize,
    offset: u64,
    left: usize,
    last: bool,
}

struct Driver<'a> {
    connection: &'a mut Connection,
    content: &'a Content,
    job: Job,
    slots: Vec<Slot>,
    free: Vec<usize>,
    body: Option<Body>,
    begun: u64,
    /// Heads of the requests that leave next, and the slots they are in.
    heads: Vec<u8>,
    leaving: Vec<usize>,
    /// What the writes carry, slot by slot.
    payloads: Vec<u8>,
}

impl<'a> Driver<'a> {
    fn new(connection: &'a mut Connection, content: &'a Content, job: Job) -> Driver<'a> {
        let payloads = if job.command == Command::Write { job.depth * job.size } else { 0 };
        Driver {
            connection,
            content,
            job,
            slots: vec![Slot { request: None, got: 0, look: Look::Ends }; job.depth],
            free: (0..job.depth).collect(),
            body: None,
            begun: 0,
            heads: Vec::with_capacity(job.depth * 32),
            leaving: Vec::with_capacity(job.depth),
            payloads: vec![0; payloads],
        }
    }

    /// Sends as many requests as have a slot, at most `more`.
    fn send(&mut self, walk: &mut impl Iterator<Item = u64>, more: u64) -> Result {
        self.heads.clear();
        self.leaving.clear();
        for _ in 0..more.min(self.free.len() as u64) {
            let Some((slot, offset)) = self.free.pop().zip(walk.next()) else { break };
            let request = Request::new(slot as u64, self.job.command, offset, self.job.size as u64);
            if self.job.command == Command::Write {
                let payload = slot * self.job.size..(slot + 1) * self.job.size;
                self.content.write(offset, &mut self.payloads[payload]);
            }
            let head = self.connection.session.encode(&request).map_err(|e| e.to_string())?;
            self.heads.extend_from_slice(&head);
            self.leaving.push(slot);
            let look = if self.begun.is_multiple_of(WHOLE_EVERY) { Look::Whole } else { Look::Ends };
            self.slots[slot] = Slot { request: Some(request), got: 0, look };
            self.begun += 1;
        }
        if self.leaving.is_empty() {
            return Ok(());
        }
        let stream = &mut self.connection.stream;
        let sent = if self.payloads.is_empty() {
            stream.write_all_vectored(&mut [IoSlice::new(&self.heads)])
        } else {
            let heads = self.heads.chunks(self.heads.len() / self.leaving.len());
            let slices = heads.zip(&self.leaving).flat_map(|(head, slot)| {
                let payload = &self.payloads[slot * self.job.size..(slot + 1) * self.job.size];
                [IoSlice::new(head), IoSlice::new(payload)]
            });
            stream.write_all_vectored(&mut slices.collect::<Vec<_>>())
        };
        sent.context("sending requests")
    }

    /// Takes what has come, waiting if it is nothing, and judges it.
    fn receive(&mut self) -> Result {
        let Connection { stream, inbox, .. } = &mut *self.connection;
        if inbox.fill(stream).context("waiting for replies")? == 0 {
            return Err("server closed the connection with requests in flight".into());
        }
        while match self.body.take() {
            Some(body) => self.take_block(body)?,
            None => self.take_reply()?,
        } {}
        Ok(())
    }

    /// Judges the next block of the data, if it is here whole.
    fn take_block(&mut self, body: Body) -> Result<bool> {
        let len = body.left.min(BLOCK - body.offset as usize % BLOCK);
        let Some(bytes) = self.connection.inbox.bytes().get(..len) else {
            self.body = Some(body);
            return Ok(false);
        };
        self.content.check(body.offset, bytes, self.slots[body.slot].look)?;
        self.connection.inbox.consume(len);
        let (offset, left) = (body.offset + len as u64, body.left - len);
        match left {
            0 if body.last => self.finish(body.slot)?,
            0 => {}
            _ => self.body = Some(Body { offset, left, ..body }),
        }
        Ok(true)
    }

    /// Takes the next reply, if its head is here whole.
    fn take_reply(&mut self) -> Result<bool> {
        let Connection { session, inbox, .. } = &*self.connection;
        let lookup = |cookie: u64| self.slots.get(usize::try_from(cookie).ok()?)?.request;
        let (cookie, reply, last, consumed) = match session.decode(inbox.bytes(), lookup) {
            Decoded::NeedInput(_) => return Ok(false),
            Decoded::Fatal(why) => return Err(why.to_string().into()),
            Decoded::Reply { cookie, reply, last, consumed } => (cookie, reply, last, consumed),
        };
        let slot = cookie as usize;
        match reply {
            Reply::Data { offset, len } => {
                self.slots[slot].got += u64::from(len);
                self.body = Some(Body { slot, offset, left: len as usize, last });
            }
            Reply::Hole { offset, len } => {
                self.slots[slot].got += u64::from(len);
                check_hole(self.content, offset, len)?;
            }
            Reply::Done | Reply::Status { .. } => {}
            Reply::Error { code, message, .. } => {
                return Err(self.refused(slot, &format!("{code} {message}")));
            }
        }
        self.connection.inbox.consume(consumed);
        if last && self.body.is_none() {
            self.finish(slot)?;
        }
        Ok(true)
    }

    /// Frees the slot of a request that was answered to the end.
    fn finish(&mut self, slot: usize) -> Result {
        let Slot { request, got, .. } = self.slots[slot];
        let wanted = if self.job.command == Command::Read { self.job.size as u64 } else { 0 };
        if got != wanted {
            return Err(self.refused(slot, &format!("{got} bytes of data instead of {wanted}")));
        }
        if request.is_some() {
            self.slots[slot].request = None;
            self.free.push(slot);
        }
        Ok(())
    }

    fn refused(&self, slot: usize, why: &str) -> Failure {
        let at = self.slots[slot].request.map(|request| request.offset);
        format!("{} of {} bytes at {}: {why}", self.job.command, self.job.size, at.unwrap_or_default()).into()
    }
}

fn check_hole(content: &Content, offset: u64, len: u32) -> Result {
    let (mut at, end) = (offset, offset + u64::from(len));
    while at < end {
        let next = end.min((at / BLOCK as u64 + 1) * BLOCK as u64);
        content.check(at, &[0; BLOCK][..(next - at) as usize], Look::Whole)?;
        at = next;
    }
    Ok(())
}
