// SPDX-License-Identifier: BSD-3-Clause
//! What a client asks for during transmission.

use core::fmt;

use crate::wire::{Cmd, CommandFlags};

/// A command that has a reply. (`NBD_CMD_DISC` has none and is told apart.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Read `len` bytes.
    Read,
    /// Write the `len` bytes that follow.
    Write,
    /// Bring completed writes to permanent storage; offset and length are 0.
    Flush,
    /// The bytes are no longer needed.
    Trim,
    /// The bytes will be needed soon.
    Cache,
    /// Write `len` zeroes.
    WriteZeroes,
    /// Tell the extents of the range.
    BlockStatus,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Write, Self::Flush, Self::Trim, Self::Cache, Self::WriteZeroes, Self::BlockStatus];

    /// The command that `cmd` stands for, or `None` if there is none with a reply.
    #[must_use]
    pub const fn from_wire(cmd: Cmd) -> Option<Self> {
        Some(match cmd {
            Cmd::READ => Self::Read,
            Cmd::WRITE => Self::Write,
            Cmd::FLUSH => Self::Flush,
            Cmd::TRIM => Self::Trim,
            Cmd::CACHE => Self::Cache,
            Cmd::WRITE_ZEROES => Self::WriteZeroes,
            Cmd::BLOCK_STATUS => Self::BlockStatus,
            _ => return None,
        })
    }

    /// The command as it is on the wire.
    #[must_use]
    pub const fn to_wire(self) -> Cmd {
        match self {
            Self::Read => Cmd::READ,
            Self::Write => Cmd::WRITE,
            Self::Flush => Cmd::FLUSH,
            Self::Trim => Cmd::TRIM,
            Self::Cache => Cmd::CACHE,
            Self::WriteZeroes => Cmd::WRITE_ZEROES,
            Self::BlockStatus => Cmd::BLOCK_STATUS,
        }
    }

    /// Whether the command changes the export.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Trim | Self::WriteZeroes)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_wire(), f)
    }
}

/// What a reply repeats of its request, so that the client finds the request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The client's name for the request (older texts: handle).
    pub cookie: u64,
    /// The offset of the request in bytes, repeated in extended replies.
    pub offset: u64,
}

/// A request. From [`server::Session::decode`](crate::server::Session::decode) it is completely
/// checked; into [`client::Session::encode`](crate::client::Session::encode) it is the caller's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's name for the request, repeated in every reply; any value not in use.
    pub cookie: u64,
    /// How the command is meant. [`CommandFlags::PAYLOAD_LEN`] is never set here.
    pub flags: CommandFlags,
    /// What to do.
    pub command: Command,
    /// Where, in bytes from the start of the export.
    pub offset: u64,
    /// How much, in bytes. Beyond `u32::MAX` only with extended headers, and never for read and write.
    pub len: u64,
    /// Which of the negotiated contexts a block status asks for; all, unless the client chose.
    pub contexts: ContextSet,
}

impl Request {
    /// A request for all contexts and without flags.
    #[must_use]
    pub const fn new(cookie: u64, command: Command, offset: u64, len: u64) -> Self {
        Self { cookie, flags: CommandFlags::NONE, command, offset, len, contexts: ContextSet::ALL }
    }

    /// The same with these flags.
    #[must_use]
    pub const fn with_flags(self, flags: CommandFlags) -> Self {
        Self { flags, ..self }
    }

    /// What a reply to this repeats.
    #[must_use]
    pub const fn tag(&self) -> Tag {
        Tag { cookie: self.cookie, offset: self.offset }
    }

    /// How many bytes of payload follow the head: `len` of a write, otherwise 0.
    #[must_use]
    pub const fn payload(&self) -> u32 {
        match self.command {
            Command::Write if self.len <= u32::MAX as u64 => self.len as u32,
            _ => 0,
        }
    }
}

/// A choice among the negotiated meta contexts, by their place in the session's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContextSet(u32);

impl ContextSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(u32::MAX);

    /// Whether the context in place `index` is chosen.
    #[must_use]
    pub const fn contains(self, index: usize) -> bool {
        index < 32 && self.0 >> index & 1 != 0
    }

    /// The same and the context in place `index`; places from 32 on do not exist.
    #[must_use]
    pub const fn with(self, index: usize) -> Self {
        if index < 32 { Self(self.0 | 1 << index) } else { self }
    }
}
