// SPDX-License-Identifier: BSD-3-Clause
//! The checks that a request has to pass, in their order.

use super::Session;
use crate::wire::{Cmd, CommandFlags, ErrorCode, TransmissionFlags};
use crate::{Command, ContextSet, Mode, Request, Tag};

/// A request head as it came, before any check.
pub(super) struct Raw {
    pub flags: CommandFlags,
    pub command: Cmd,
    pub tag: Tag,
    pub len: u64,
}

/// The error for a request and its reason.
pub(super) type Wrong = (ErrorCode, &'static str);

impl Session {
    /// Turns what came into a request, or says what is wrong with it.
    pub(super) fn check(&self, raw: &Raw) -> Result<Request, Wrong> {
        self.check_payload_flag(raw)?;
        let command = self.check_range(raw)?;
        self.check_flags(raw, command)?;
        self.check_size(raw, command)?;
        self.check_advertised(command)?;
        Ok(Request {
            cookie: raw.tag.cookie,
            flags: raw.flags.without(CommandFlags::PAYLOAD_LEN),
            command,
            offset: raw.tag.offset,
            len: raw.len,
            contexts: ContextSet::ALL,
        })
    }

    /// With extended headers the flag decides what the length means, so it comes before the range.
    fn check_payload_flag(&self, raw: &Raw) -> Result<(), Wrong> {
        let extended = self.mode == Mode::Extended;
        if extended && raw.command != Cmd::WRITE && raw.flags.contains(CommandFlags::PAYLOAD_LEN) {
            return Err((ErrorCode::EINVAL, "payload that the command does not take"));
        }
        Ok(())
    }

    fn check_range(&self, raw: &Raw) -> Result<Command, Wrong> {
        let Some(command) = Command::from_wire(raw.command) else {
            return Err((ErrorCode::EINVAL, "unknown command"));
        };
        if command.writes() && self.export.flags.contains(TransmissionFlags::READ_ONLY) {
            return Err((ErrorCode::EPERM, "export is read-only"));
        }
        if command == Command::Flush {
            return match (raw.tag.offset, raw.len) {
                (0, 0) => Ok(command),
                _ => Err((ErrorCode::EINVAL, "flush with an offset or a length")),
            };
        }
        let error = match command {
            Command::Write | Command::WriteZeroes => ErrorCode::ENOSPC,
            _ => ErrorCode::EINVAL,
        };
        if raw.len == 0 {
            return Err((error, "request of no length"));
        }
        match raw.tag.offset.checked_add(raw.len) {
            Some(end) if end <= self.export.size => Ok(command),
            _ => Err((error, "request past the end of the export")),
        }
    }

    fn check_flags(&self, raw: &Raw, command: Command) -> Result<(), Wrong> {
        use CommandFlags as F;
        use TransmissionFlags as T;
        let has = |flag| raw.flags.contains(flag);
        let can = |flag| self.export.flags.contains(flag);
        let compact = self.mode != Mode::Extended;
        let wrong = if !raw.flags.unknown().is_empty() || (compact && has(F::PAYLOAD_LEN)) {
            "unknown command flag"
        } else if has(F::NO_HOLE) && command != Command::WriteZeroes {
            "NBD_CMD_FLAG_NO_HOLE belongs to write zeroes"
        } else if has(F::FAST_ZERO) && (command != Command::WriteZeroes || !can(T::SEND_FAST_ZERO)) {
            "NBD_CMD_FLAG_FAST_ZERO belongs to write zeroes and needs NBD_FLAG_SEND_FAST_ZERO"
        } else if has(F::DF) && (command != Command::Read || !can(T::SEND_DF)) {
            "NBD_CMD_FLAG_DF belongs to reads and needs NBD_FLAG_SEND_DF"
        } else if has(F::REQ_ONE) && command != Command::BlockStatus {
            "NBD_CMD_FLAG_REQ_ONE belongs to block status"
        } else if has(F::FUA) && !can(T::SEND_FUA) {
            "NBD_CMD_FLAG_FUA needs NBD_FLAG_SEND_FUA"
        } else {
            return Ok(());
        };
        Err((ErrorCode::EINVAL, wrong))
    }

    /// Compact clients know `NBD_ENOMEM` for a large read; for extended ones the specification says
    /// `NBD_EOVERFLOW`.
    fn check_size(&self, raw: &Raw, command: Command) -> Result<(), Wrong> {
        if raw.len <= u64::from(self.max_payload) {
            return Ok(());
        }
        match command {
            Command::Read if self.mode == Mode::Extended => Err((ErrorCode::EOVERFLOW, "read too large")),
            Command::Read => Err((ErrorCode::ENOMEM, "read too large")),
            Command::Write => Err((ErrorCode::ENOMEM, "write too large")),
            _ => Ok(()),
        }
    }

    fn check_advertised(&self, command: Command) -> Result<(), Wrong> {
        use TransmissionFlags as T;
        let (offered, why) = match command {
            Command::Read | Command::Write => (true, ""),
            Command::Flush => (self.export.flags.contains(T::SEND_FLUSH), "flush was not advertised"),
            Command::Trim => (self.export.flags.contains(T::SEND_TRIM), "trim was not advertised"),
            Command::Cache => (self.export.flags.contains(T::SEND_CACHE), "cache was not advertised"),
            Command::WriteZeroes => {
                (self.export.flags.contains(T::SEND_WRITE_ZEROES), "write zeroes was not advertised")
            }
            Command::BlockStatus => {
                (self.mode.has_chunks() && !self.contexts.is_empty(), "no meta context was negotiated")
            }
        };
        if offered { Ok(()) } else { Err((ErrorCode::EINVAL, why)) }
    }
}
