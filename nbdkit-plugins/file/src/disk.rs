// SPDX-License-Identifier: BSD-3-Clause
//! [`FileDisk`]: an open file as a disk, and which of its operations go to a thread that may sleep.

use crate::{evict::Evict, open::OpenFile, params::Params};
use nbdkit_plugin::*;
use rustix::fs::{Advice, fadvise};
use std::num::NonZeroU64;

/// Reads from this size on, in bytes, are looked up first: they may be holes, which need not be read nor sent.
const HOLE: u32 = 64 << 10;

pub(crate) struct FileDisk {
    info: Info,
    pool: Pool,
    file: Arc<OpenFile>,
}

impl FileDisk {
    pub(crate) fn new(mut file: OpenFile, params: &Params, log: &Log, pool: Pool) -> FileDisk {
        if params.fadvise.0 != Advice::Normal
            && let Err(error) = fadvise(&file.file, 0, None, params.fadvise.0)
        {
            log.debug(format_args!("{}: fadvise has no effect: {error}", file.name));
        }
        file.evict = params.evicts().then(Evict::default);
        FileDisk { info: info(&file), pool, file: Arc::new(file) }
    }

    /// Runs `call` on the pool of threads for blocking calls.
    fn hop<T: Send + 'static>(
        &self,
        call: impl FnOnce(&OpenFile) -> Result<T> + Send + 'static,
    ) -> Op<'_, T> {
        let file = self.file.clone();
        Op::blocking(move || call(&file))
    }

    /// The same for what changes the file.
    fn change(&self, fua: bool, call: impl FnOnce(&OpenFile) -> Result<()> + Send + 'static) -> Op<'_, ()> {
        match self.info.write {
            true => self.hop(move |file| call(file).and_then(|()| if fua { file.flush() } else { Ok(()) })),
            false => Op::err(self.file.read_only()),
        }
    }
}

fn info(file: &OpenFile) -> Info {
    let mut info = Info::writable(file.size);
    (info.zero, info.fua, info.cache) = (Support::Native, Support::Native, Support::Native);
    (info.flush, info.trim) = (true, true);
    // All connections share the page cache, and a flush empties it for the whole file.
    info.multi_conn = true;
    info.extents = file.knows_holes();
    if let Some(device) = &file.device {
        (info.block, info.rotational) = (device.block, device.rotational);
    }
    if !file.write {
        info.without_writing();
    }
    info
}

impl Disk for FileDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        if self.info.extents && len >= HOLE && self.file.is_hole(Span::new(offset, len.into())) {
            return Op::ok(Data::zero(len.into()));
        }
        if self.file.evict.is_none() {
            // Whoever sends the bytes fetches them, most often without copying them.
            return Op::ok(FileRange::new(self.file.file.clone(), offset, len.into()).into());
        }
        let pool = self.pool.clone();
        self.hop(move |file| {
            let mut buf = pool.get(len as usize);
            file.read(&mut buf, offset)?;
            Ok(buf.freeze().into())
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        if self.info.write
            && !flags.fua
            && let Some(result) = self.file.write_now(&data, offset)
        {
            return result.into();
        }
        // FUA is a property of this write, not a flush after it.
        self.change(false, move |file| file.write(&data, offset, flags.fua))
    }

    fn flush(&self) -> Op<'_, ()> {
        self.hop(OpenFile::flush)
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.change(flags.fua, move |file| file.trim(span))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        if flags.fast_zero {
            // Whether it would be fast is known only afterwards, so it is not offered.
            return Op::err(Error::unsupported("fast zero"));
        }
        self.change(flags.fua, move |file| file.zero(span, flags.may_trim))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.hop(move |file| {
            fadvise(&file.file, span.offset, NonZeroU64::new(span.len), Advice::WillNeed)
                .map_err(|error| file.failed(error.into(), "cache", span.len, span.offset))
        })
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.hop(move |file| file.extents(span, flags.req_one))
    }

    fn close(&self) -> Op<'_, ()> {
        match self.file.evict {
            Some(_) => self.hop(OpenFile::evict_rest),
            None => Op::ok(()),
        }
    }
}
