// SPDX-License-Identifier: BSD-3-Clause
//! What a reply says, and what nonsense it may be.

use core::fmt;

use crate::Command;
use crate::bytes::Bytes;
use crate::wire::{ChunkType, ErrorCode};

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// Success, unless there were errors before.
    Done,
    /// The request failed.
    Error {
        /// The error; see [`ErrorCode::to_errno`].
        code: ErrorCode,
        /// The server's words, perhaps empty; at most 4096 bytes.
        message: &'a str,
        /// Where it failed, in bytes from the start of the export, if the server said.
        offset: Option<u64>,
    },
    /// Data of a read: `len` bytes from `offset` in the export follow the consumed ones. Always within the
    /// request, and never none.
    Data {
        /// In bytes from the start of the export.
        offset: u64,
        /// In bytes.
        len: u32,
    },
    /// Part of a read is zeroes. Always within the request, and never none.
    Hole {
        /// In bytes from the start of the export.
        offset: u64,
        /// In bytes.
        len: u32,
    },
    /// The extents from the offset of a block status on, for one meta context.
    Status {
        /// The id of the context, always one of [`Session::contexts`](super::Session::contexts).
        context: u32,
        /// At least one extent.
        extents: Extents<'a>,
    },
}

/// An iterator over extents: length in bytes, never 0, and status flags.
///
/// They begin at the offset of the request. They may end before its end, or, without
/// [`CommandFlags::REQ_ONE`](crate::wire::CommandFlags::REQ_ONE), after it.
#[derive(Clone, PartialEq, Eq)]
pub struct Extents<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) wide: bool,
}

impl Iterator for Extents<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let mut bytes = Bytes(self.bytes);
        let extent = if self.wide {
            (bytes.u64()?, bytes.u64()?)
        } else {
            (u64::from(bytes.u32()?), u64::from(bytes.u32()?))
        };
        self.bytes = bytes.0;
        Some(extent)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.bytes.len() / if self.wide { 16 } else { 8 };
        (count, Some(count))
    }
}

impl ExactSizeIterator for Extents<'_> {}

impl fmt::Debug for Extents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Why the transmission phase cannot go on: the server sent nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fatal {
    /// A reply did not begin with a magic number of this session but with this.
    BadMagic(u32),
    /// A reply to a request that is not in flight, by this cookie.
    UnknownCookie(u64),
    /// A chunk of a type that does not exist, or does not answer the request.
    UnexpectedChunk(ChunkType),
    /// A simple reply where data was to come in chunks.
    UnexpectedSimple(Command),
    /// A chunk of a length that its type cannot have.
    BadLength {
        /// The type.
        chunk: ChunkType,
        /// The length of its payload in bytes.
        len: u64,
    },
    /// A chunk whose content contradicts the request or itself.
    BadContent {
        /// The type.
        chunk: ChunkType,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("server sent nonsense: ")?;
        match self {
            Self::BadMagic(magic) => {
                write!(f, "reply begins with {magic:#010x} where a reply magic number belongs")
            }
            Self::UnknownCookie(cookie) => write!(f, "reply to request {cookie:#x}, which is not in flight"),
            Self::UnexpectedChunk(chunk) => write!(f, "{chunk} does not answer the request"),
            Self::UnexpectedSimple(command) => write!(f, "simple reply to {command}"),
            Self::BadLength { chunk, len } => write!(f, "{chunk} of {len} bytes"),
            Self::BadContent { chunk, why } => write!(f, "{chunk}: {why}"),
        }
    }
}

impl core::error::Error for Fatal {}
