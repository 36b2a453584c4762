// SPDX-License-Identifier: BSD-3-Clause
//! From requests to bytes.

use alloc::vec::Vec;
use core::fmt;

use super::Session;
use crate::wire::{Cmd, CommandFlags, EXTENDED_REQUEST, REQUEST, TransmissionFlags};
use crate::{Command, ContextSet, Head, Mode, Request, Tag};

/// Why a request cannot be put into a message of this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The length in bytes needs more than 32 bits, which only extended headers have, and no write.
    TooLong(u64),
    /// The request chooses among the contexts: use [`Session::encode_status`].
    NeedsPayload,
    /// The server does not let requests choose among the contexts, or the choice is empty.
    CannotChoose,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(len) => {
                write!(f, "request of {len} bytes is too long: at most 4294967295 can be said here")
            }
            Self::NeedsPayload => f.write_str("request that chooses meta contexts needs a payload"),
            Self::CannotChoose => f.write_str("server does not let a request choose meta contexts"),
        }
    }
}

impl core::error::Error for EncodeError {}

impl Session {
    /// The head of `request`. For a write its [`payload`](Request::payload) must follow.
    ///
    /// Whether the server will like the request is not checked: see [`Session::flags`] and [`Session::size`].
    ///
    /// # Errors
    /// The request cannot be said in this session.
    pub fn encode(&self, request: &Request) -> Result<Head, EncodeError> {
        if request.command == Command::BlockStatus && request.contexts != ContextSet::ALL {
            return Err(EncodeError::NeedsPayload);
        }
        let payload = request.command == Command::Write;
        if request.len > u64::from(u32::MAX) && (payload || self.mode != Mode::Extended) {
            return Err(EncodeError::TooLong(request.len));
        }
        Ok(self.head(request.command.to_wire(), request.flags, payload, request.tag(), request.len))
    }

    /// Appends to `out` a block status for the chosen [`contexts`](Request::contexts) only: at most 168
    /// bytes.
    ///
    /// # Errors
    /// Nothing is chosen, or the server does not advertise [`TransmissionFlags::BLOCK_STATUS_PAYLOAD`].
    pub fn encode_status(&self, request: &Request, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let chosen = || {
            let places = self.contexts.iter().enumerate();
            places.filter(|(index, _)| request.contexts.contains(*index)).map(|(_, context)| context.id)
        };
        let can = self.export.flags.contains(TransmissionFlags::BLOCK_STATUS_PAYLOAD);
        if !can || self.mode != Mode::Extended || chosen().next().is_none() {
            return Err(EncodeError::CannotChoose);
        }
        let len = 8 + 4 * chosen().count() as u64;
        out.extend_from_slice(&self.head(Cmd::BLOCK_STATUS, request.flags, true, request.tag(), len));
        out.extend_from_slice(&request.len.to_be_bytes());
        chosen().for_each(|id| out.extend_from_slice(&id.to_be_bytes()));
        Ok(())
    }

    /// The request that ends the session; it has no reply.
    #[must_use]
    pub fn disconnect(&self) -> Head {
        self.head(Cmd::DISC, CommandFlags::NONE, false, Tag { cookie: 0, offset: 0 }, 0)
    }

    fn head(&self, command: Cmd, flags: CommandFlags, payload: bool, tag: Tag, len: u64) -> Head {
        let extended = self.mode == Mode::Extended;
        let magic = if extended { EXTENDED_REQUEST } else { REQUEST };
        let flags = flags.set(CommandFlags::PAYLOAD_LEN, extended && payload);
        let head = Head::new()
            .put(magic.to_be_bytes())
            .put(flags.0.to_be_bytes())
            .put(command.0.to_be_bytes())
            .put(tag.cookie.to_be_bytes())
            .put(tag.offset.to_be_bytes());
        if extended { head.put(len.to_be_bytes()) } else { head.put((len as u32).to_be_bytes()) }
    }
}
