// SPDX-License-Identifier: BSD-3-Clause
//! [`SplitDisk`]: reads describe where the bytes are; all else goes to a thread that may sleep.

use crate::files::Files;
use nbdkit_plugin::*;
use rustix::fs::{Advice, fadvise};
use std::num::NonZeroU64;

pub(crate) struct SplitDisk {
    info: Info,
    files: Arc<Files>,
}

impl SplitDisk {
    pub(crate) fn new(files: Files, read_only: bool) -> SplitDisk {
        let mut info = Info::writable(files.size());
        (info.extents, info.cache) = (true, Support::Native);
        if read_only {
            info.without_writing();
        }
        SplitDisk { info, files: Arc::new(files) }
    }

    /// Runs `call` on the pool of threads for blocking calls.
    fn hop<T: Send + 'static>(&self, call: impl FnOnce(&Files) -> Result<T> + Send + 'static) -> Op<'_, T> {
        let files = self.files.clone();
        Op::blocking(move || call(&files))
    }
}

impl Disk for SplitDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let mut runs = self
            .files
            .pieces(Span::new(offset, len.into()))
            .map(|(part, piece)| FileRange::new(part.file.clone(), piece.offset, piece.len));
        Op::ok(match (runs.next(), runs.next()) {
            // Within one file, as most reads are.
            (Some(run), None) => run.into(),
            (first, second) => {
                first.into_iter().chain(second).chain(runs).map(Run::File).collect::<Vec<_>>().into()
            }
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, _flags: Flags) -> Op<'_, ()> {
        self.hop(move |files| files.write(&data, offset))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.hop(move |files| {
            files.pieces(span).try_for_each(|(part, piece)| {
                fadvise(&part.file, piece.offset, NonZeroU64::new(piece.len), Advice::WillNeed)
                    .map_err(|error| part.failed(error.into(), "cache", piece))
            })
        })
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.hop(move |files| files.extents(span, flags.req_one))
    }
}
