// SPDX-License-Identifier: BSD-3-Clause
//! The numbers of the protocol, each with its name: magics, codes, flags, limits.
//!
//! A code is a newtype over the integer on the wire, so an unknown value is still a value: it can be
//! compared, logged and sent back. `Display` gives the name of the specification where there is one.

#[macro_use]
mod newtype;
mod errno;
mod handshake;
mod limits;
mod magic;
mod transmission;

pub use handshake::{ClientFlags, HandshakeFlags, InfoType, Opt, Rep};
pub use limits::{
    MAX_DISCARD, MAX_EXTENTS, MAX_OPTION, MAX_REQUEST_PAYLOAD, MAX_STORED, MAX_STRING, OPTION_BUDGET,
};
pub use magic::{
    EXTENDED_REPLY, EXTENDED_REQUEST, IHAVEOPT, NBDMAGIC, OLDSTYLE, OPTION_REPLY, REQUEST, SIMPLE_REPLY,
    STRUCTURED_REPLY,
};
pub use transmission::{ChunkType, Cmd, CommandFlags, ErrorCode, ReplyFlags, StateFlags, TransmissionFlags};
