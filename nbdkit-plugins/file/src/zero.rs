// SPDX-License-Identifier: BSD-3-Clause
//! Zeroing and trimming without writing.

use crate::{
    open::{Ability, OpenFile},
    sys,
};
use nbdkit_plugin::{Error, Result, Span};
use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

const PUNCH: FallocateFlags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);

impl OpenFile {
    /// Makes `span` read as zeroes in the cheapest way there is.
    ///
    /// # Errors
    /// `EOPNOTSUPP` when zeroes have to be written.
    pub(crate) fn zero(&self, span: Span, may_trim: bool) -> Result<()> {
        let done = self.zero_somehow(span, may_trim);
        if let Some(log) = &self.zero_log {
            let Span { offset, len } = span;
            let how =
                done.as_ref().map_or_else(|error| format!("not done: {error}"), |how| (*how).to_owned());
            log.debug(format_args!("zero of {len} bytes at offset {offset}, may trim {may_trim}: {how}"));
        }
        done.map(drop)
    }

    /// Answers how.
    fn zero_somehow(&self, span: Span, may_trim: bool) -> Result<&'static str> {
        let can = &self.abilities;
        if self.device.as_ref().is_some_and(|device| device.whole_sectors(span) != Some(span)) {
            return Err(Error::unsupported("zeroing a part of a sector"));
        }
        if may_trim && self.fallocate(&can.punch_hole, PUNCH, span)? {
            return Ok("FALLOC_FL_PUNCH_HOLE");
        }
        if self.fallocate(&can.zero_range, FallocateFlags::ZERO_RANGE, span)? {
            return Ok("FALLOC_FL_ZERO_RANGE");
        }
        // What was there is gone, then space is allocated again: tmpfs.
        if self.device.is_none()
            && self.fallocate(&can.punch_hole, PUNCH, span)?
            && self.fallocate(&can.allocate, FallocateFlags::empty(), span)?
        {
            return Ok("FALLOC_FL_PUNCH_HOLE and fallocate");
        }
        Err(Error::unsupported("zero"))
    }

    /// Gives the space of `span` back; does nothing where that is not possible, for it is only advice.
    pub(crate) fn trim(&self, span: Span) -> Result<()> {
        let can = &self.abilities;
        let Some(device) = &self.device else {
            return self.fallocate(&can.punch_hole, PUNCH, span).map(drop);
        };
        // Not by making a hole: that promises zeroes, which many devices that can discard do not.
        let Some(whole) = device.whole_sectors(span) else { return Ok(()) };
        let discard = || {
            sys::discard(&self.file, whole).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        };
        match can.discard.attempt(discard) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(error, "discard", whole.len, whole.offset)),
        }
    }

    /// False if the file system does not know this.
    fn fallocate(&self, ability: &Ability, flags: FallocateFlags, span: Span) -> Result<bool> {
        match ability.attempt(|| fallocate(&self.file, flags, span.offset, span.len)) {
            Ok(done) => Ok(done.is_some()),
            Err(error) => Err(self.failed(error, "fallocate", span.len, span.offset)),
        }
    }
}
