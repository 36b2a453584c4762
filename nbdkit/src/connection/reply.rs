// SPDX-License-Identifier: BSD-3-Clause
//! From an answer to the messages that carry it.

use super::{
    flight::{Answer, Body},
    outbox::Outbox,
};
use nbd_proto::{
    Request, Tag,
    server::{Chunks, Refusal, Session},
    wire::{CommandFlags, ErrorCode},
};
use nbdkit_plugin::{Data, EOPNOTSUPP, Extents, Log, Run};

/// Zeroes in the middle of data are sent as a hole from this size on: less would cost more in chunk heads and system
/// calls than it saves in bytes.
const HOLE: u64 = 4096;
/// `base:allocation`: NBD specification, "Metadata querying".
const STATE_HOLE: u64 = 1;
const STATE_ZERO: u64 = 2;

/// Encodes replies of one connection.
pub struct Replies<'s> {
    /// What was negotiated.
    pub session: &'s Session,
    /// Where failures are reported.
    pub log: &'s Log,
}

impl Replies<'_> {
    /// Puts the reply to `answer` into `outbox`.
    pub fn answer(&self, Answer { request, result }: Answer, outbox: &mut Outbox) {
        match result {
            Ok(Body::Done) => outbox.head(self.session.ok(request.tag())),
            Ok(Body::Data(data)) => self.data(&request, data, outbox),
            Ok(Body::Extents(extents)) => self.extents(&request, &extents, outbox),
            Err(error) => {
                // A fast zero that is not fast is an answer, not a failure.
                let expected = error.errno() == EOPNOTSUPP && request.flags.contains(CommandFlags::FAST_ZERO);
                if !expected {
                    let Request { command, offset, len, .. } = request;
                    self.log.error(format_args!("{command} offset={offset} count={len}: {error}"));
                }
                let code = ErrorCode::from_errno(error.errno(), request.flags);
                self.error(request.tag(), code, &error.to_string(), outbox);
            }
        }
    }

    /// Puts the reply to a request that never reached the disk into `outbox`.
    pub fn refuse(&self, refusal: &Refusal, outbox: &mut Outbox) {
        let Refusal { tag, command, flags, len, error, message, .. } = *refusal;
        let (offset, size) = (tag.offset, self.session.size());
        self.log.error(format_args!(
            "invalid request: {command} offset={offset} count={len} flags={:#x}: {message} (export size is {size}): {error}",
            flags.0
        ));
        self.error(tag, error, message, outbox);
    }

    /// Puts the reply to a request that comes when the server is about to end into `outbox`.
    pub fn shutting_down(&self, tag: Tag, outbox: &mut Outbox) {
        self.error(tag, ErrorCode::ESHUTDOWN, "server is shutting down", outbox);
    }

    fn error(&self, tag: Tag, error: ErrorCode, message: &str, outbox: &mut Outbox) {
        let mut text = Vec::new();
        self.session.error(tag, error, message, &mut text);
        outbox.text(text);
    }

    fn data(&self, request: &Request, data: Data, outbox: &mut Outbox) {
        let whole = |data: Data, outbox: &mut Outbox| {
            outbox.head(self.session.read(request.tag(), request.len as u32));
            data.into_runs().into_iter().for_each(|run| payload(run, outbox));
        };
        let Some(chunks) = self.session.chunks() else { return whole(data, outbox) };
        match data.runs() {
            [Run::Zero(len)] => {
                let len = *len as u32;
                outbox.head(chunks.hole(request.tag(), request.offset, len, true));
            }
            // The common case.
            [_] => whole(data, outbox),
            _ if request.flags.contains(CommandFlags::DF) => whole(data, outbox),
            _ => pieces(chunks, request, data, outbox),
        }
    }

    fn extents(&self, request: &Request, extents: &Extents, outbox: &mut Outbox) {
        let state = |hole, zero| if hole { STATE_HOLE } else { 0 } | if zero { STATE_ZERO } else { 0 };
        let contexts: Vec<_> = self.session.contexts_of(request).collect();
        let mut text = Vec::new();
        for (index, context) in contexts.iter().enumerate() {
            let list = extents.iter().map(|extent| (extent.len, state(extent.hole, extent.zero)));
            self.session.block_status(request, context.id, list, index + 1 == contexts.len(), &mut text);
        }
        outbox.text(text);
    }
}

/// A reply in several chunks: data, and holes where the zeroes are long enough.
fn pieces(chunks: Chunks, request: &Request, data: Data, outbox: &mut Outbox) {
    let (mut offset, end) = (request.offset, request.offset + request.len);
    let mut group: Vec<Run> = Vec::new();
    let mut grouped = 0;
    let is_hole = |run: &Run| matches!(run, Run::Zero(len) if *len >= HOLE);
    let mut runs = data.into_runs().into_iter().filter(|run| !run.is_empty()).peekable();
    while let Some(run) = runs.next() {
        let len = run.len();
        if is_hole(&run) {
            outbox.head(chunks.hole(request.tag(), offset, len as u32, offset + len == end));
            offset += len;
            continue;
        }
        grouped += len;
        group.push(run);
        if runs.peek().is_none_or(is_hole) {
            outbox.head(chunks.data(request.tag(), offset, grouped as u32, offset + grouped == end));
            group.drain(..).for_each(|run| payload(run, outbox));
            offset += grouped;
            grouped = 0;
        }
    }
}

fn payload(run: Run, outbox: &mut Outbox) {
    match run {
        Run::Bytes(buf) => outbox.data(buf),
        Run::Zero(len) => outbox.zeroes(len),
        Run::File(range) => outbox.file(range),
    }
}
