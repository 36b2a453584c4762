// SPDX-License-Identifier: BSD-3-Clause
//! From results to the heads of replies.

use alloc::vec::Vec;

use super::Session;
use crate::bytes::truncate;
use crate::wire::{
    ChunkType, CommandFlags, EXTENDED_REPLY, ErrorCode, MAX_EXTENTS, MAX_STRING, ReplyFlags, SIMPLE_REPLY,
    STRUCTURED_REPLY,
};
use crate::{Head, Mode, Request, Tag};

/// Longest extent that a 32-bit descriptor is given, in bytes: aligned to any minimum block size.
const MAX_COMPACT_EXTENT: u32 = u32::MAX - 0xffff;

impl Session {
    /// The complete reply to a request other than read and block status that succeeded.
    #[must_use]
    pub fn ok(&self, tag: Tag) -> Head {
        match self.mode {
            Mode::Extended => Chunks { extended: true }.done(tag),
            Mode::Simple | Mode::Structured => simple(tag, ErrorCode::SUCCESS),
        }
    }

    /// The head of a reply to a read that succeeded as a whole: all of its `len` bytes of data must follow.
    ///
    /// After it nothing can be reported any more: if data goes missing, close the connection.
    #[must_use]
    pub fn read(&self, tag: Tag, len: u32) -> Head {
        match self.chunks() {
            Some(chunks) => chunks.data(tag, tag.offset, len, true),
            None => simple(tag, ErrorCode::SUCCESS),
        }
    }

    /// Appends to `out` the complete reply to a request that failed: at most 4142 bytes.
    ///
    /// Simple replies have no room for `message`; elsewhere it is cut to 4096 bytes. [`ErrorCode::SUCCESS`]
    /// is no error and becomes [`ErrorCode::EIO`].
    pub fn error(&self, tag: Tag, error: ErrorCode, message: &str, out: &mut Vec<u8>) {
        match self.chunks() {
            Some(chunks) => chunks.error(tag, error, message, true, out),
            None => out.extend_from_slice(&simple(tag, failure(error))),
        }
    }

    /// Appends to `out` the answer for one meta context of a block status: at most 16 MiB for 2^20 extents.
    ///
    /// `extents` are lengths in bytes with their status flags, back to back from the offset of the request.
    /// They may be fewer or reach further than the request wants: what cannot be sent is left out, neighbours
    /// of equal status are joined, lengths are cut at the end of the export and to what fits on the wire.
    /// With no extents at all the range is reported as status 0, which is always safe to say.
    ///
    /// Send one for each of [`Session::contexts_of`] the request, `last` with the last of them.
    pub fn block_status(
        &self,
        request: &Request,
        context: u32,
        extents: impl IntoIterator<Item = (u64, u64)>,
        last: bool,
        out: &mut Vec<u8>,
    ) {
        let Some(chunks) = self.chunks() else {
            // Not reached from a request that was decoded here: without chunks it would have been refused.
            return self.error(request.tag(), ErrorCode::EINVAL, "", out);
        };
        let start = out.len();
        out.extend_from_slice(&chunks.status_head(request.tag(), context, 0, last));
        let count = self.descriptors(chunks, request, extents, out);
        // The head tells a length that is known only now.
        let head = chunks.status_head(request.tag(), context, count, last);
        if let Some(room) = out.get_mut(start..start + head.len()) {
            room.copy_from_slice(&head);
        }
    }

    /// Appends at least one and at most 2^20 descriptors; returns how many.
    fn descriptors(
        &self,
        chunks: Chunks,
        request: &Request,
        extents: impl IntoIterator<Item = (u64, u64)>,
        out: &mut Vec<u8>,
    ) -> u32 {
        let one = request.flags.contains(CommandFlags::REQ_ONE);
        let left = self.export.size.saturating_sub(request.offset);
        let limit = if one { left.min(request.len) } else { left };
        let mut count = 1;
        let mut done = 0;
        let mut pending: Option<(u64, u64)> = None;
        for (len, status) in extents {
            let len = len.min(limit - done);
            match &mut pending {
                _ if len == 0 => {}
                Some((length, before)) if *before == status => *length += len,
                // Only the last extent may reach past what was asked for.
                Some(_) if one || done >= request.len || count == MAX_EXTENTS as u32 => break,
                Some(full) => {
                    chunks.descriptor(*full, out);
                    count += 1;
                    pending = Some((len, status));
                }
                None => pending = Some((len, status)),
            }
            done += len;
            if done == limit {
                break;
            }
        }
        chunks.descriptor(pending.unwrap_or((request.len.min(limit), 0)), out);
        count
    }

    /// Replies in pieces, or `None` with simple replies, which have to be whole.
    #[must_use]
    pub fn chunks(&self) -> Option<Chunks> {
        self.mode.has_chunks().then_some(Chunks { extended: self.mode == Mode::Extended })
    }
}

/// The pieces of a chunked reply. Got from [`Session::chunks`].
///
/// A reply is any number of chunks of which exactly one, the final one, is `last`. Chunks of different
/// replies may alternate. A read is answered by [`data`](Self::data) and [`hole`](Self::hole) chunks that
/// cover it in any order and do not overlap; with [`CommandFlags::DF`] by a single data chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    extended: bool,
}

impl Chunks {
    /// The head of a chunk of data: `len` bytes (not 0) from `offset` in the export, which must follow.
    ///
    /// If some of them cannot be had any more, pad with zeroes and send an
    /// [`error_offset`](Self::error_offset). For that the chunk must not be the last one.
    #[must_use]
    pub fn data(self, tag: Tag, offset: u64, len: u32, last: bool) -> Head {
        let payload = len.saturating_add(8);
        self.head(tag, ChunkType::OFFSET_DATA, last, payload).put(offset.to_be_bytes())
    }

    /// A complete chunk that says that `len` bytes (not 0) from `offset` in the export read as zeroes.
    #[must_use]
    pub fn hole(self, tag: Tag, offset: u64, len: u32, last: bool) -> Head {
        let head = self.head(tag, ChunkType::OFFSET_HOLE, last, 12);
        head.put(offset.to_be_bytes()).put(len.to_be_bytes())
    }

    /// A complete last chunk with nothing in it: success, unless there were error chunks before.
    #[must_use]
    pub fn done(self, tag: Tag) -> Head {
        self.head(tag, ChunkType::NONE, true, 0)
    }

    /// Appends to `out` a complete chunk that says that the request failed: at most 4142 bytes.
    ///
    /// `message` is cut to 4096 bytes; [`ErrorCode::SUCCESS`] becomes [`ErrorCode::EIO`].
    pub fn error(self, tag: Tag, error: ErrorCode, message: &str, last: bool, out: &mut Vec<u8>) {
        let message = truncate(message, MAX_STRING);
        let head = self.head(tag, ChunkType::ERROR, last, 6 + message.len() as u32);
        put_error(head, error, message, out);
    }

    /// Appends to `out` a complete chunk that says that the request failed at `offset` in the export: at most
    /// 4150 bytes.
    ///
    /// Data chunks sent before are good up to there. Otherwise like [`error`](Self::error).
    pub fn error_offset(
        self,
        tag: Tag,
        error: ErrorCode,
        message: &str,
        offset: u64,
        last: bool,
        out: &mut Vec<u8>,
    ) {
        let message = truncate(message, MAX_STRING);
        let head = self.head(tag, ChunkType::ERROR_OFFSET, last, 14 + message.len() as u32);
        put_error(head, error, message, out);
        out.extend_from_slice(&offset.to_be_bytes());
    }

    fn status_head(self, tag: Tag, context: u32, count: u32, last: bool) -> Head {
        if self.extended {
            let head = self.head(tag, ChunkType::BLOCK_STATUS_EXT, last, 8 + 16 * count);
            head.put(context.to_be_bytes()).put(count.to_be_bytes())
        } else {
            self.head(tag, ChunkType::BLOCK_STATUS, last, 4 + 8 * count).put(context.to_be_bytes())
        }
    }

    fn descriptor(self, (len, status): (u64, u64), out: &mut Vec<u8>) {
        if self.extended {
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(&status.to_be_bytes());
        } else {
            // What was cut is the last: it reached past the request, which has at most 32 bits itself.
            let len = u32::try_from(len).unwrap_or(MAX_COMPACT_EXTENT);
            out.extend_from_slice(&len.to_be_bytes());
            // Contexts with more bits of status need extended headers.
            out.extend_from_slice(&(status as u32).to_be_bytes());
        }
    }

    fn head(self, tag: Tag, kind: ChunkType, last: bool, payload: u32) -> Head {
        let flags = ReplyFlags::NONE.set(ReplyFlags::DONE, last);
        let magic = if self.extended { EXTENDED_REPLY } else { STRUCTURED_REPLY };
        let head = Head::new()
            .put(magic.to_be_bytes())
            .put(flags.0.to_be_bytes())
            .put(kind.0.to_be_bytes())
            .put(tag.cookie.to_be_bytes());
        if self.extended {
            head.put(tag.offset.to_be_bytes()).put(u64::from(payload).to_be_bytes())
        } else {
            head.put(payload.to_be_bytes())
        }
    }
}

fn simple(tag: Tag, error: ErrorCode) -> Head {
    Head::new().put(SIMPLE_REPLY.to_be_bytes()).put(error.0.to_be_bytes()).put(tag.cookie.to_be_bytes())
}

/// `message` has at most 4096 bytes.
fn put_error(head: Head, error: ErrorCode, message: &str, out: &mut Vec<u8>) {
    let len = message.len() as u16;
    out.extend_from_slice(&head.put(failure(error).0.to_be_bytes()).put(len.to_be_bytes()));
    out.extend_from_slice(message.as_bytes());
}

/// An error reply with no error would be taken for success.
fn failure(error: ErrorCode) -> ErrorCode {
    if error == ErrorCode::SUCCESS { ErrorCode::EIO } else { error }
}
