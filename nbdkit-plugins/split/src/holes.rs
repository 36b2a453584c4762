// SPDX-License-Identifier: BSD-3-Clause
//! Where the holes are: asked of each file with `SEEK_DATA` and `SEEK_HOLE`.

use crate::files::{Files, Part};
use nbdkit_plugin::{Extent, Extents, Result, Span};
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};
use std::io;

/// The most extents that are found at once: a client that wants more asks again.
const MOST: usize = 1 << 16;

impl Files {
    /// From the start of `span` on. May sleep.
    pub(crate) fn extents(&self, span: Span, only_first: bool) -> Result<Extents> {
        let most = if only_first { 1 } else { MOST };
        let mut extents = Extents::new();
        for (part, piece) in self.pieces(span) {
            part.extents(piece, most, &mut extents).map_err(|error| part.failed(error, "extents", piece))?;
            if extents.count() > most {
                break;
            }
        }
        if only_first {
            let first = extents.iter().next().map_or(0, |extent| extent.len);
            extents.truncate(first);
        }
        Ok(extents)
    }
}

impl Part {
    /// Puts those of `piece` behind `extents`, until there are more than `most`.
    fn extents(&self, piece: Span, most: usize, extents: &mut Extents) -> io::Result<()> {
        let (mut at, end) = (piece.offset, piece.end());
        while at < end && extents.count() <= most {
            let data = self.find(SeekFrom::Data(at), at)?.clamp(at, end);
            extents.push(Extent::hole(data - at));
            let mut hole = self.find(SeekFrom::Hole(data), end)?.clamp(data, end);
            if hole == data {
                // The file is shorter than it was. What cannot be read is not zero.
                hole = end;
            }
            extents.push(Extent::data(hole - data));
            at = hole;
        }
        Ok(())
    }

    /// The next data or hole: the end of the file if there is none, `unknown` where the file system cannot tell.
    ///
    /// This moves the position in the file, which nothing else uses: all I/O says its offset.
    fn find(&self, from: SeekFrom, unknown: u64) -> io::Result<u64> {
        match seek(&self.file, from) {
            Err(Errno::NXIO) => Ok(seek(&self.file, SeekFrom::End(0))?),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(unknown),
            found => Ok(found?),
        }
    }
}
