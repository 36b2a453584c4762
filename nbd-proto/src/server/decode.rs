// SPDX-License-Identifier: BSD-3-Clause
//! From bytes to requests that are completely checked.

use core::fmt;

use super::Session;
use super::check::{Raw, Wrong};
use crate::bytes::Bytes;
use crate::wire::{Cmd, CommandFlags, EXTENDED_REQUEST, ErrorCode, MAX_DISCARD, REQUEST, TransmissionFlags};
use crate::{ContextSet, Mode, Request, Tag};

/// What the first bytes of the input mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Too little: call again once the input has at least this many bytes (at most 168, counted from its
    /// start).
    NeedInput(usize),
    /// A request that passed every check. For a write, [`Request::payload`] bytes follow the `consumed` ones.
    Request {
        /// The request.
        request: Request,
        /// Bytes of the input it took; payload is not among them.
        consumed: usize,
    },
    /// A request that fails: skip its payload, then send the error.
    Refuse {
        /// What to skip and what to answer.
        refusal: Refusal,
        /// Bytes of the input it took; what is to be skipped is not among them.
        consumed: usize,
    },
    /// The client disconnects politely: finish what is in flight, then close. There is no reply.
    Disconnect {
        /// Bytes of the input it took.
        consumed: usize,
    },
    /// The connection cannot go on: close it without a reply.
    Fatal(Fatal),
}

/// A request that fails before it reaches the export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the reply repeats.
    pub tag: Tag,
    /// The command, which need not be known.
    pub command: Cmd,
    /// Its flags, as they came.
    pub flags: CommandFlags,
    /// Its length in bytes, as it came.
    pub len: u64,
    /// The error to send with [`Session::error`].
    pub error: ErrorCode,
    /// What is wrong, for the log and as the text of that error.
    pub message: &'static str,
    /// Bytes of payload to discard first; at most 128 MiB.
    pub payload_to_skip: u32,
}

/// Why the transmission phase cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fatal {
    /// A request did not begin with its magic number.
    BadMagic {
        /// What it began with.
        found: u32,
        /// What would have been right.
        expected: u32,
    },
    /// A refused request has more payload than anybody wants to discard.
    PayloadTooLong {
        /// The command.
        command: Cmd,
        /// Bytes of payload it announced.
        len: u64,
    },
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMagic { found, expected } => {
                write!(f, "request begins with {found:#010x} where its magic number {expected:#010x} belongs")
            }
            Self::PayloadTooLong { command, len } => {
                write!(f, "refused {command} has {len} bytes of payload; at most {MAX_DISCARD} are discarded")
            }
        }
    }
}

impl core::error::Error for Fatal {}

impl Session {
    /// Length of a request head in bytes: 28, or 32 with extended headers.
    #[must_use]
    pub fn request_size(&self) -> usize {
        if self.mode == Mode::Extended { 32 } else { 28 }
    }

    /// Decodes the request at the start of `input`. Takes constant time and allocates nothing.
    ///
    /// A request is checked in this order (section "Request types" of the specification where it rules):
    /// read-only export, range, command, flags, size of reads and writes, what the export advertised, meta
    /// contexts. Requests of no length are refused.
    #[must_use]
    pub fn decode(&self, input: &[u8]) -> Decoded {
        let consumed = self.request_size();
        let mut bytes = Bytes(input);
        if let Some(magic) = Bytes(input).u32() {
            if magic != self.request_magic() {
                return Decoded::Fatal(Fatal::BadMagic { found: magic, expected: self.request_magic() });
            }
        }
        let Some(raw) = self.parse(&mut bytes) else {
            return Decoded::NeedInput(consumed);
        };
        if raw.command == Cmd::DISC {
            return Decoded::Disconnect { consumed };
        }
        if self.has_status_payload(&raw) {
            return self.decode_status(&raw, bytes, consumed);
        }
        match self.check(&raw) {
            Ok(request) => Decoded::Request { request, consumed },
            Err(wrong) => self.refuse(&raw, wrong, consumed),
        }
    }

    fn request_magic(&self) -> u32 {
        if self.mode == Mode::Extended { EXTENDED_REQUEST } else { REQUEST }
    }

    fn parse(&self, bytes: &mut Bytes<'_>) -> Option<Raw> {
        bytes.u32()?;
        let flags = CommandFlags(bytes.u16()?);
        let command = Cmd(bytes.u16()?);
        let tag = Tag { cookie: bytes.u64()?, offset: bytes.u64()? };
        let len = if self.mode == Mode::Extended { bytes.u64()? } else { u64::from(bytes.u32()?) };
        Some(Raw { flags, command, tag, len })
    }

    /// Bytes of payload behind the head, wanted or not.
    fn payload(&self, raw: &Raw) -> u64 {
        // A write has one even without the flag that should say so: the clients of QEMU 10 leave it out.
        let flagged = self.mode == Mode::Extended && raw.flags.contains(CommandFlags::PAYLOAD_LEN);
        let follows = flagged || raw.command == Cmd::WRITE;
        if follows { raw.len } else { 0 }
    }

    fn refuse(&self, raw: &Raw, (error, message): Wrong, consumed: usize) -> Decoded {
        let len = self.payload(raw);
        match u32::try_from(len) {
            Ok(payload_to_skip) if payload_to_skip <= MAX_DISCARD => {
                let Raw { flags, command, tag, len, .. } = *raw;
                let refusal = Refusal { tag, command, flags, len, error, message, payload_to_skip };
                Decoded::Refuse { refusal, consumed }
            }
            _ => Decoded::Fatal(Fatal::PayloadTooLong { command: raw.command, len }),
        }
    }

    /// Whether this is a block status that names its contexts, and so few bytes that they are worth reading.
    fn has_status_payload(&self, raw: &Raw) -> bool {
        let most = 8 + 4 * self.contexts.len() as u64;
        raw.command == Cmd::BLOCK_STATUS
            && self.payload(raw) != 0
            && self.export.flags.contains(TransmissionFlags::BLOCK_STATUS_PAYLOAD)
            && raw.len % 4 == 0
            && (12..=most).contains(&raw.len)
    }

    fn decode_status(&self, raw: &Raw, mut bytes: Bytes<'_>, consumed: usize) -> Decoded {
        let len = raw.len as usize; // at most 8 + 4 * 32
        let consumed = consumed + len;
        let Some(payload) = bytes.take(len) else {
            return Decoded::NeedInput(consumed);
        };
        let mut payload = Bytes(payload);
        let inner = Raw {
            flags: raw.flags.without(CommandFlags::PAYLOAD_LEN),
            len: payload.u64().unwrap_or_default(),
            ..*raw
        };
        let checked = self.check(&inner).and_then(|request| {
            let contexts =
                self.choose(payload).ok_or((ErrorCode::EINVAL, "meta context unknown or named twice"))?;
            Ok(Request { contexts, ..request })
        });
        match checked {
            Ok(request) => Decoded::Request { request, consumed },
            Err(wrong) => self.refuse(&inner, wrong, consumed),
        }
    }

    fn choose(&self, mut ids: Bytes<'_>) -> Option<ContextSet> {
        let mut chosen = ContextSet::NONE;
        while let Some(id) = ids.u32() {
            let index = self.contexts.iter().position(|context| context.id == id)?;
            if chosen.contains(index) {
                return None;
            }
            chosen = chosen.with(index);
        }
        Some(chosen)
    }
}
