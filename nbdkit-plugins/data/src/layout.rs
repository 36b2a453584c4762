// SPDX-License-Identifier: BSD-3-Clause
//! [`Layout`]: a group while it is put together; what comes later overwrites what was there.

use crate::{
    rope::{Rope, too_large},
    syntax::Offset,
    text::MOST,
};
use nbdkit_plugin::{Error, Result};
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Layout {
    /// Where each starts. They do not overlap; what is between them is zero.
    pieces: BTreeMap<u64, Rope>,
    /// Where the next one goes.
    at: u64,
    len: u64,
}

impl Layout {
    /// # Errors
    /// When that is before the start, or beyond the largest disk.
    pub(crate) fn go(&mut self, offset: Offset) -> Result<()> {
        let at = match offset {
            Offset::To(n) => Some(n),
            Offset::Forward(n) => self.at.checked_add(n),
            Offset::Align(n) => self.at.checked_next_multiple_of(n),
            Offset::Back(n) => Some(self.at.checked_sub(n).ok_or_else(|| {
                Error::invalid(format!(
                    "data parameter: @-{n} must not be larger than the current offset {}",
                    self.at
                ))
            })?),
        };
        self.at = at.filter(|at| *at <= MOST).ok_or_else(too_large)?;
        self.len = self.len.max(self.at);
        Ok(())
    }

    /// # Errors
    /// When the data becomes too large, or is nested too deep.
    pub(crate) fn put(&mut self, rope: Rope) -> Result<()> {
        let (start, end) = (self.at, self.at + rope.len());
        if end > MOST {
            return Err(too_large());
        }
        if start < self.len {
            self.clear(start, end)?;
        }
        if !rope.is_hole() {
            self.pieces.insert(start, rope);
        }
        self.at = end;
        self.len = self.len.max(end);
        Ok(())
    }

    /// Takes away what is there, and keeps the ends of pieces that are only touched.
    fn clear(&mut self, start: u64, end: u64) -> Result<()> {
        while let Some((from, old)) =
            self.pieces.range(..end).next_back().map(|(from, old)| (*from, old.clone()))
        {
            let to = from + old.len();
            if to <= start || start == end {
                break;
            }
            self.pieces.remove(&from);
            if to > end {
                self.pieces.insert(end, old.slice(end - from, old.len())?);
            }
            if from < start {
                self.pieces.insert(from, old.slice(0, start - from)?);
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Rope> {
        Rope::join(self.pieces.into_iter().collect(), self.len)
    }
}
