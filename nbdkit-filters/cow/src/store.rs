// SPDX-License-Identifier: BSD-3-Clause
//! [`Store`]: the temporary file that holds what was written.

use nbdkit_filter::{Buf, ENOSPC, Error, Extent, Extents, FileRange, Op, Result, Span};
use nbdkit_temporary_file::TemporaryFile;
use rustix::fs::{SeekFrom, seek};
use std::sync::{Mutex, PoisonError};

/// Places in a temporary file. They are handed out one after the other, so that a disk may be larger than any file; they
/// hold zeroes at first, and take no space until written.
pub(crate) struct Store {
    file: TemporaryFile,
    /// Where the next place begins.
    end: Mutex<u64>,
}

impl Store {
    /// In `file`, which is empty.
    pub(crate) fn new(file: TemporaryFile) -> Store {
        Store { file, end: Mutex::new(0) }
    }

    /// A place of `len` bytes that nobody else has, until it is given back.
    pub(crate) fn take(&self, len: u64) -> Result<u64> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let start = *end;
        let next = start.checked_add(len).filter(|next| i64::try_from(*next).is_ok());
        let next =
            next.ok_or_else(|| Error::new(ENOSPC, "the overlay has reached 8E, the largest a file can be"))?;
        self.file
            .file()
            .set_len(next)
            .map_err(|error| Error::io(error, format!("overlay of {next} bytes")))?;
        *end = next;
        Ok(start)
    }

    /// The opposite, for a place that nobody was told of and to which nothing is being written.
    pub(crate) fn give_back(&self, place: Span) {
        let zeroed = self.file.zero_now(place);
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the newest can be handed out again. Others lose their space but not their offsets, of which there
        // are plenty.
        if *end == place.end() && zeroed.is_ok() {
            *end = place.offset;
        }
    }

    /// What is to be read there.
    pub(crate) fn range(&self, at: u64, len: u64) -> FileRange {
        self.file.range(Span::new(at, len))
    }

    /// Writes `data` at `at`.
    pub(crate) fn write(&self, data: Buf, at: u64) -> Op<'static, ()> {
        self.file.write(data, at)
    }

    /// Makes `place` read as zeroes and take as little space as possible.
    pub(crate) fn zero(&self, place: Span) -> Op<'static, ()> {
        self.file.zero(place)
    }

    /// The file itself knows best where it is sparse.
    pub(crate) fn extents(&self, place: Span, most: usize) -> Extents {
        let (mut at, mut out) = (place.offset, Extents::new());
        while at < place.end() && out.count() < most {
            let data = match seek(self.file.file(), SeekFrom::Data(at)) {
                Ok(data) => data.min(place.end()),
                Err(rustix::io::Errno::NXIO) => place.end(),
                Err(_) => at,
            };
            out.push(Extent::hole(data - at));
            // An error, or a hole where there was data a moment ago: say that the rest is data, which is never wrong.
            let hole = seek(self.file.file(), SeekFrom::Hole(data)).ok().filter(|hole| *hole > data);
            at = hole.map_or(place.end(), |hole| hole.min(place.end()));
            out.push(Extent::data(at - data));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn store() -> Store {
        Store::new(TemporaryFile::create().unwrap())
    }

    #[test]
    fn places_do_not_overlap_and_the_newest_comes_back() {
        let store = store();
        assert_eq!(
            [store.take(4096).unwrap(), store.take(8192).unwrap(), store.take(1).unwrap()],
            [0, 4096, 12288]
        );
        assert!(matches!(store.write(Buf::from(vec![7; 8192]), 4096), Op::Ready(Ok(()))));
        store.give_back(Span::new(4096, 8192));
        assert_eq!(store.take(1).unwrap(), 12289);
        store.give_back(Span::new(12289, 1));
        assert_eq!(store.take(1).unwrap(), 12289);
        let mut bytes = [1; 8192];
        store.file.file().read_exact_at(&mut bytes, 4096).unwrap();
        assert_eq!(bytes, [0; 8192]);
    }

    #[test]
    fn knows_its_holes() {
        let store = store();
        let place = Span::new(store.take(1 << 20).unwrap(), 1 << 20);
        assert_eq!(store.extents(place, 10), Extents::hole(1 << 20));
        assert!(matches!(store.write(Buf::from(vec![7; 65536]), 65536), Op::Ready(Ok(()))));
        let expected = [Extent::hole(65536), Extent::data(65536), Extent::hole((1 << 20) - 131_072)];
        assert_eq!(store.extents(place, 10), expected.into_iter().collect());
        assert_eq!(store.extents(Span::new(70_000, 10), 10), Extents::data(10));
        assert!(matches!(store.zero(Span::new(65536, 65536)), Op::Ready(Ok(()))));
        assert_eq!(store.extents(place, 10), Extents::hole(1 << 20));
    }

    #[test]
    fn ends_where_files_end() {
        let full = Store { end: Mutex::new(i64::MAX as u64 - 1), ..store() };
        assert_eq!(full.take(2).unwrap_err().errno(), ENOSPC);
    }
}
