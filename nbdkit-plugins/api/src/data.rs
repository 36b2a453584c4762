// SPDX-License-Identifier: BSD-3-Clause
//! [`Data`]: what a read returns, which says where the bytes are and need not hold them.

use crate::{Buf, BufMut, Error, Op, Pool, Result};
use rustix::io::ReadWriteFlags;
use std::{fs::File, io::IoSliceMut, os::unix::fs::FileExt, sync::Arc};

/// A range of an open file.
///
/// When it is read is up to the server: a large one may go from the page cache to the client as it is, and is then looked
/// at as late as the client reads its reply. So the bytes must be what the read is about until they are overwritten or
/// trimmed by a request: whoever uses places of a file for several things in turn reads them itself
/// ([`Data::fetch`] with `|_| false`).
#[derive(Clone, Debug)]
pub struct FileRange {
    file: Arc<File>,
    offset: u64,
    len: u64,
}

impl FileRange {
    /// `len` bytes of `file` from `offset`, both in bytes.
    pub fn new(file: Arc<File>, offset: u64, len: u64) -> FileRange {
        FileRange { file, offset, len }
    }

    /// The file.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Where the range starts, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How long the range is, in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `to` (as long as the range) as far as the page cache goes; never sleeps. How many bytes it got.
    fn read_now(&self, to: &mut [u8]) -> usize {
        let mut slices = [IoSliceMut::new(to)];
        rustix::io::preadv2(&*self.file, &mut slices, self.offset, ReadWriteFlags::NOWAIT).unwrap_or(0)
    }

    /// Fills `to` (as long as the range), waiting for the device where it has to.
    fn read(&self, to: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(to, self.offset).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::new(
                libc::EIO,
                format!(
                    "file is now shorter than the {} bytes asked for at offset {}",
                    self.len, self.offset
                ),
            ),
            _ => Error::io(error, format!("read of {} bytes at offset {}", self.len, self.offset)),
        })
    }
}

/// One piece of [`Data`].
#[derive(Clone, Debug)]
pub enum Run {
    /// Bytes in memory.
    Bytes(Buf),
    /// That many zero bytes, which the server may send as a hole.
    Zero(u64),
    /// Bytes in a file. An error in reading them appears after all filters have answered.
    File(FileRange),
}

impl Run {
    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> u64 {
        match self {
            Run::Bytes(buf) => buf.len() as u64,
            Run::Zero(len) => *len,
            Run::File(range) => range.len,
        }
    }

    /// True if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part `[start, start + len)`, which must lie within.
    fn slice(self, start: u64, len: u64) -> Run {
        match self {
            Run::Bytes(buf) => Run::Bytes(buf.slice(start as usize..(start + len) as usize)),
            Run::Zero(_) => Run::Zero(len),
            Run::File(range) => Run::File(FileRange { offset: range.offset + start, len, ..range }),
        }
    }
}

/// A rope of runs, in order. One run is the common case and needs no `Vec`.
#[derive(Clone, Debug)]
pub struct Data(Rope);

#[derive(Clone, Debug)]
enum Rope {
    One(Run),
    Many(Vec<Run>),
}

impl From<Run> for Data {
    fn from(run: Run) -> Data {
        Data(Rope::One(run))
    }
}

impl From<Buf> for Data {
    fn from(buf: Buf) -> Data {
        Run::Bytes(buf).into()
    }
}

impl From<FileRange> for Data {
    fn from(range: FileRange) -> Data {
        Run::File(range).into()
    }
}

impl From<Vec<Run>> for Data {
    fn from(runs: Vec<Run>) -> Data {
        Data(Rope::Many(runs))
    }
}

impl Data {
    /// `len` zero bytes.
    pub fn zero(len: u64) -> Data {
        Run::Zero(len).into()
    }

    /// The runs, in order.
    #[inline]
    pub fn runs(&self) -> &[Run] {
        match &self.0 {
            Rope::One(run) => std::slice::from_ref(run),
            Rope::Many(runs) => runs,
        }
    }

    /// The runs, in order, by value.
    pub fn into_runs(self) -> Vec<Run> {
        match self.0 {
            Rope::One(run) => vec![run],
            Rope::Many(runs) => runs,
        }
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> u64 {
        self.runs().iter().map(Run::len).sum()
    }

    /// True if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part `[start, start + len)`, cut off at the end of the data. Describes, never copies.
    pub fn slice(self, start: u64, len: u64) -> Data {
        let (mut skip, mut want, mut out) = (start, len, Vec::new());
        for run in self.into_runs() {
            let have = run.len();
            if skip >= have {
                skip -= have;
                continue;
            }
            let take = (have - skip).min(want);
            if take == 0 {
                break;
            }
            out.push(run.slice(skip, take));
            skip = 0;
            want -= take;
        }
        out.into()
    }

    /// Puts `other` behind.
    pub fn append(&mut self, other: Data) {
        let mut runs = std::mem::replace(self, Data(Rope::Many(Vec::new()))).into_runs();
        runs.extend(other.into_runs());
        *self = runs.into();
    }

    /// The same bytes with the ranges of files read into memory, unless `keep` says of all of them that they can be sent
    /// as they are; zero runs stay what they are.
    ///
    /// Ready under the same conditions as [`into_buf`](Data::into_buf).
    pub fn fetch(self, pool: &Pool, keep: impl Fn(&FileRange) -> bool) -> Op<'static, Data> {
        if !self.runs().iter().any(|run| matches!(run, Run::File(range) if !keep(range))) {
            return Op::ok(self);
        }
        if let Data(Rope::One(Run::File(range))) = &self {
            let mut out = pool.get(range.len as usize);
            if range.read_now(&mut out) == out.len() {
                return Op::ok(out.freeze().into());
            }
        }
        let pool = pool.clone();
        Op::blocking(move || {
            let runs = self.into_runs().into_iter().map(|run| match run {
                Run::File(range) => {
                    let mut out = pool.get(range.len as usize);
                    range.read(&mut out)?;
                    Ok(Run::Bytes(out.freeze()))
                }
                run => Ok(run),
            });
            Ok(runs.collect::<Result<Vec<Run>>>()?.into())
        })
    }

    /// The bytes in one piece.
    ///
    /// Ready when they are in memory or in the page cache (asked with `RWF_NOWAIT`, which costs no more than a
    /// plain read); what a device must fetch is read on the pool of threads for blocking calls.
    pub fn into_buf(self, pool: &Pool) -> Op<'static, Buf> {
        if let Data(Rope::One(Run::Bytes(buf))) = self {
            return Op::ok(buf);
        }
        let mut out = pool.get(self.len() as usize);
        match fill(&self, &mut out, |range, to| range.read_now(to) == to.len()) {
            true => Op::ok(out.freeze()),
            false => Op::blocking(move || self.read_into(out)),
        }
    }

    fn read_into(self, mut out: BufMut) -> Result<Buf> {
        let mut failed = None;
        fill(&self, &mut out, |range, to| range.read(to).map_err(|error| failed = Some(error)).is_ok());
        match failed {
            Some(error) => Err(error),
            None => Ok(out.freeze()),
        }
    }
}

/// Lays the runs into `out`, files by `read`; stops and returns false as soon as that does.
fn fill(data: &Data, out: &mut [u8], mut read: impl FnMut(&FileRange, &mut [u8]) -> bool) -> bool {
    let mut rest = out;
    for run in data.runs() {
        let (to, after) = rest.split_at_mut(run.len() as usize);
        rest = after;
        match run {
            Run::Bytes(buf) => to.copy_from_slice(buf),
            Run::Zero(_) => to.fill(0),
            Run::File(range) if read(range, to) => {}
            Run::File(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;
    use std::{future::IntoFuture, io::Write};

    fn bytes(data: Data) -> Vec<u8> {
        block_on(data.into_buf(&Pool::new()).into_future()).unwrap().to_vec()
    }

    #[test]
    fn slices_and_joins_describe_the_same_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let range = FileRange::new(Arc::new(file), 2, 5);
        let mut data = Data::from(Buf::from(b"ab".to_vec()));
        data.append(Data::zero(3));
        data.append(range.into());
        let whole = b"ab\0\0\x0023456".to_vec();
        assert_eq!(bytes(data.clone()), whole);
        for start in 0..=10 {
            for len in 0..=12 {
                let want = &whole[start.min(10)..(start + len).min(10)];
                assert_eq!(bytes(data.clone().slice(start as u64, len as u64)), want, "{start}+{len}");
            }
        }
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        file.set_len(100).unwrap();
        let data = Data::from(FileRange::new(file, 50, 51));
        let error = block_on(data.into_buf(&Pool::new()).into_future()).unwrap_err();
        assert_eq!(error.errno(), libc::EIO);
    }
}
