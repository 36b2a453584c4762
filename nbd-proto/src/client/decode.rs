// SPDX-License-Identifier: BSD-3-Clause
//! From bytes to replies that make sense.

use super::{Extents, Fatal, Reply, Session};
use crate::bytes::Bytes;
use crate::wire::{
    ChunkType, CommandFlags, EXTENDED_REPLY, ErrorCode, MAX_EXTENTS, MAX_STORED, MAX_STRING, ReplyFlags,
    SIMPLE_REPLY, STRUCTURED_REPLY,
};
use crate::{Command, Mode, Request};

/// Most bytes that [`Session::decode`] ever needs at once: an extended chunk of 2^20 extents.
pub const MAX_REPLY: usize = 32 + 8 + 16 * MAX_EXTENTS;

/// What the first bytes of the input mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// Too little: call again once the input has at least this many bytes (at most [`MAX_REPLY`], counted
    /// from its start).
    NeedInput(usize),
    /// A reply, or a part of one.
    Reply {
        /// Which request it answers.
        cookie: u64,
        /// What it says.
        reply: Reply<'a>,
        /// Whether it is the last of this request, whose cookie is then free again.
        last: bool,
        /// Bytes of the input it took; the data of [`Reply::Data`] is not among them.
        consumed: usize,
    },
    /// The connection cannot go on: close it.
    Fatal(Fatal),
}

/// The head of a chunk.
struct Chunk {
    kind: ChunkType,
    last: bool,
    len: u64,
    /// Bytes of the head.
    head: usize,
}

/// Why decoding ends early.
enum Stop {
    Need(usize),
    Fatal(Fatal),
}

impl Session {
    /// Decodes the reply at the start of `input`. Allocates nothing.
    ///
    /// `lookup` gives the request in flight that has this cookie. What the reply says is checked against it.
    /// That data and holes of a read do not overlap and leave no gap is not: that takes memory.
    #[must_use]
    pub fn decode<'a>(&self, input: &'a [u8], lookup: impl FnOnce(u64) -> Option<Request>) -> Decoded<'a> {
        match self.decode_reply(input, lookup) {
            Ok(decoded) => decoded,
            Err(Stop::Need(bytes)) => Decoded::NeedInput(bytes),
            Err(Stop::Fatal(why)) => Decoded::Fatal(why),
        }
    }

    fn decode_reply<'a>(
        &self,
        input: &'a [u8],
        lookup: impl FnOnce(u64) -> Option<Request>,
    ) -> Result<Decoded<'a>, Stop> {
        let mut bytes = Bytes(input);
        let least = if self.mode == Mode::Extended { 32 } else { 16 };
        let magic = bytes.u32().ok_or(Stop::Need(least))?;
        match (self.mode, magic) {
            (Mode::Simple | Mode::Structured, SIMPLE_REPLY) => self.decode_simple(bytes, lookup),
            (Mode::Structured, STRUCTURED_REPLY) | (Mode::Extended, EXTENDED_REPLY) => {
                self.decode_chunk(input, bytes, lookup)
            }
            _ => Err(Stop::Fatal(Fatal::BadMagic(magic))),
        }
    }

    fn decode_simple<'a>(
        &self,
        mut bytes: Bytes<'a>,
        lookup: impl FnOnce(u64) -> Option<Request>,
    ) -> Result<Decoded<'a>, Stop> {
        let consumed = 16;
        let (code, cookie) = bytes.u32().zip(bytes.u64()).ok_or(Stop::Need(consumed))?;
        let request = lookup(cookie).ok_or(Stop::Fatal(Fatal::UnknownCookie(cookie)))?;
        let reply = match (ErrorCode(code), request.command) {
            (ErrorCode::SUCCESS, Command::Read) if self.mode == Mode::Simple && request.len != 0 => {
                // `encode` never says more than 32 bits here.
                Reply::Data { offset: request.offset, len: u32::try_from(request.len).unwrap_or(u32::MAX) }
            }
            (ErrorCode::SUCCESS, Command::Read | Command::BlockStatus) if self.mode != Mode::Simple => {
                return Err(Stop::Fatal(Fatal::UnexpectedSimple(request.command)));
            }
            (ErrorCode::SUCCESS, _) => Reply::Done,
            (code, _) => Reply::Error { code, message: "", offset: None },
        };
        Ok(Decoded::Reply { cookie, reply, last: true, consumed })
    }

    fn decode_chunk<'a>(
        &self,
        input: &'a [u8],
        mut bytes: Bytes<'a>,
        lookup: impl FnOnce(u64) -> Option<Request>,
    ) -> Result<Decoded<'a>, Stop> {
        let extended = self.mode == Mode::Extended;
        let head = if extended { 32 } else { 20 };
        let start = input.get(..head).ok_or(Stop::Need(head))?;
        let need = Stop::Need(head);
        let Some((flags, kind, cookie)) = (|| Some((bytes.u16()?, bytes.u16()?, bytes.u64()?)))() else {
            return Err(need);
        };
        let offset = if extended { bytes.u64() } else { None };
        let len = if extended { bytes.u64() } else { bytes.u32().map(u64::from) };
        let chunk = Chunk {
            kind: ChunkType(kind),
            last: ReplyFlags(flags).contains(ReplyFlags::DONE),
            len: len.unwrap_or_default(),
            head: start.len(),
        };
        let request = lookup(cookie).ok_or(Stop::Fatal(Fatal::UnknownCookie(cookie)))?;
        if offset.is_some_and(|offset| offset != request.offset) {
            return Err(chunk.nonsense("its offset is not that of the request"));
        }
        let (reply, consumed) = self.decode_content(input, &chunk, &request)?;
        Ok(Decoded::Reply { cookie, reply, last: chunk.last, consumed })
    }

    /// What the chunk says, and how many bytes of the input that took.
    fn decode_content<'a>(
        &self,
        input: &'a [u8],
        chunk: &Chunk,
        request: &Request,
    ) -> Result<(Reply<'a>, usize), Stop> {
        let status =
            if self.mode == Mode::Extended { ChunkType::BLOCK_STATUS_EXT } else { ChunkType::BLOCK_STATUS };
        match (chunk.kind, request.command) {
            (ChunkType::NONE, _) => {
                chunk.check_len(chunk.len == 0)?;
                if !chunk.last {
                    return Err(chunk.nonsense("it is not the last one"));
                }
                Ok((Reply::Done, chunk.head))
            }
            (ChunkType::OFFSET_DATA, Command::Read) => {
                chunk.check_len(chunk.len > 8 && chunk.len <= u64::from(u32::MAX))?;
                let (mut payload, consumed) = chunk.payload(input, 8)?;
                let offset = payload.u64().unwrap_or_default();
                let len = (chunk.len - 8) as u32; // checked above
                chunk.check_range(request, offset, len)?;
                Ok((Reply::Data { offset, len }, consumed))
            }
            (ChunkType::OFFSET_HOLE, Command::Read) => {
                chunk.check_len(chunk.len == 12)?;
                let (mut payload, consumed) = chunk.payload(input, 12)?;
                let offset = payload.u64().unwrap_or_default();
                let len = payload.u32().unwrap_or_default();
                chunk.check_range(request, offset, len)?;
                Ok((Reply::Hole { offset, len }, consumed))
            }
            (kind, Command::BlockStatus) if kind == status => self.decode_status(input, chunk, request),
            (kind, _) if kind.is_error() => decode_error(input, chunk),
            (kind, _) => Err(Stop::Fatal(Fatal::UnexpectedChunk(kind))),
        }
    }

    fn decode_status<'a>(
        &self,
        input: &'a [u8],
        chunk: &Chunk,
        request: &Request,
    ) -> Result<(Reply<'a>, usize), Stop> {
        let wide = self.mode == Mode::Extended;
        let (fixed, each) = if wide { (8, 16) } else { (4, 8) };
        let most = fixed + each * MAX_EXTENTS as u64;
        chunk.check_len(chunk.len > fixed && chunk.len <= most && (chunk.len - fixed) % each == 0)?;
        let (mut payload, consumed) = chunk.payload(input, chunk.len as usize)?;
        let context = payload.u32().unwrap_or_default();
        if wide && payload.u32().map(u64::from) != Some((chunk.len - fixed) / each) {
            return Err(chunk.nonsense("its count is not that of its extents"));
        }
        if !self.contexts.iter().any(|known| known.id == context) {
            return Err(chunk.nonsense("its meta context was not negotiated"));
        }
        let extents = Extents { bytes: payload.0, wide };
        if extents.clone().any(|(len, _)| len == 0) {
            return Err(chunk.nonsense("it has an extent of no length"));
        }
        if extents.clone().try_fold(request.offset, |end, (len, _)| end.checked_add(len)).is_none() {
            return Err(chunk.nonsense("its extents have no end"));
        }
        let one = request.flags.contains(CommandFlags::REQ_ONE);
        if one && (extents.len() != 1 || extents.clone().any(|(len, _)| len > request.len)) {
            return Err(chunk.nonsense("it is more than the one extent asked for"));
        }
        Ok((Reply::Status { context, extents }, consumed))
    }
}

fn decode_error<'a>(input: &'a [u8], chunk: &Chunk) -> Result<(Reply<'a>, usize), Stop> {
    chunk.check_len(chunk.len >= 6 && chunk.len <= MAX_STORED as u64)?;
    let (mut payload, consumed) = chunk.payload(input, chunk.len as usize)?;
    let code = ErrorCode(payload.u32().unwrap_or_default());
    let len = usize::from(payload.u16().unwrap_or_default());
    let message = payload.take(len).filter(|_| len <= MAX_STRING);
    let message = message.ok_or(chunk.nonsense("its message is too long"))?;
    if code == ErrorCode::SUCCESS {
        return Err(chunk.nonsense("its error is none"));
    }
    let offset = match chunk.kind {
        ChunkType::ERROR_OFFSET => Some(payload.u64().ok_or(chunk.nonsense("it has no offset"))?),
        _ => None,
    };
    Ok((Reply::Error { code, message: readable(message), offset }, consumed))
}

/// The text up to where it stops being UTF-8.
fn readable(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            core::str::from_utf8(valid).unwrap_or_default()
        }
    }
}

impl Chunk {
    fn nonsense(&self, why: &'static str) -> Stop {
        Stop::Fatal(Fatal::BadContent { chunk: self.kind, why })
    }

    fn check_len(&self, good: bool) -> Result<(), Stop> {
        if good { Ok(()) } else { Err(Stop::Fatal(Fatal::BadLength { chunk: self.kind, len: self.len })) }
    }

    /// The first `len` bytes of the payload, and where in the input they end.
    fn payload<'a>(&self, input: &'a [u8], len: usize) -> Result<(Bytes<'a>, usize), Stop> {
        let end = self.head + len;
        let payload = input.get(self.head..end).ok_or(Stop::Need(end))?;
        Ok((Bytes(payload), end))
    }

    fn check_range(&self, request: &Request, offset: u64, len: u32) -> Result<(), Stop> {
        let inside = offset
            .checked_sub(request.offset)
            .and_then(|skipped| skipped.checked_add(u64::from(len)))
            .is_some_and(|end| end <= request.len);
        if !inside || len == 0 {
            return Err(self.nonsense("it is not within the range that was asked for"));
        }
        Ok(())
    }
}
