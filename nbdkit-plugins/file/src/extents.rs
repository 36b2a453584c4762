// SPDX-License-Identifier: BSD-3-Clause
//! Where a file's holes are: `SEEK_DATA` and `SEEK_HOLE` of `lseek(2)`.

use crate::open::OpenFile;
use nbdkit_plugin::{Extent, Extents, Result, Span};
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};
use std::io;

/// How many pairs of hole and data one answer looks up: the client asks again for the rest.
const MOST_PAIRS: usize = 1000;

impl OpenFile {
    /// True if the file system knows where holes are.
    pub(crate) fn knows_holes(&self) -> bool {
        // ENXIO: the file is empty.
        matches!(seek(&self.file, SeekFrom::Hole(0)), Ok(_) | Err(Errno::NXIO))
    }

    /// True if nothing of `span` is allocated, as far as the file system tells at once. It costs a fraction of a
    /// microsecond; reading a hole, and sending it, costs as much as data does.
    pub(crate) fn is_hole(&self, span: Span) -> bool {
        match seek(&self.file, SeekFrom::Data(span.offset)) {
            Ok(data) => data >= span.end(),
            // No data from here to the end: a hole, if the file still is as long as it was.
            Err(Errno::NXIO) => seek(&self.file, SeekFrom::End(0)).is_ok_and(|size| size >= span.end()),
            Err(_) => false,
        }
    }

    /// The extents from the start of `span`; just the first if that is enough. May sleep.
    pub(crate) fn extents(&self, span: Span, only_first: bool) -> Result<Extents> {
        let find =
            |from| self.find(from).map_err(|error| self.failed(error, "extents", span.len, span.offset));
        let mut extents = Extents::new();
        let mut at = span.offset;
        for _ in 0..MOST_PAIRS {
            let data = find(SeekFrom::Data(at))?.clamp(at, span.end());
            extents.push(Extent::hole(data - at));
            let hole = find(SeekFrom::Hole(data))?.clamp(data, span.end());
            extents.push(Extent::data(hole - data));
            let stuck = hole == at;
            at = hole;
            if stuck || at == span.end() || only_first {
                break;
            }
        }
        if extents.is_empty() {
            // The file is shorter than it was, or changes while we look. What cannot be read is not zero.
            extents.push(Extent::data(span.len));
        }
        Ok(extents)
    }

    /// The next data or hole; the end of the file if there is none.
    fn find(&self, from: SeekFrom) -> io::Result<u64> {
        match seek(&self.file, from) {
            Err(Errno::NXIO) => Ok(seek(&self.file, SeekFrom::End(0))?),
            found => Ok(found?),
        }
    }
}
