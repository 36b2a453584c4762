// SPDX-License-Identifier: BSD-3-Clause
//! [`RamDisk`]: one client's view of the image. It answers at once, except when very much is to be zeroed
//! or the image is compressed.

use crate::{Image, PAGE_SIZE};
use nbdkit_plugin::*;

/// One client's view of an [`Image`]: read, write, trim, zero, flush, FUA, cache, extents.
pub struct RamDisk {
    image: Arc<Image>,
    info: Info,
    pool: Pool,
}

/// Zeroing more than this takes longer than a hop to another thread, and other clients should not wait for it.
const HOP: u64 = 16 << 20;

impl RamDisk {
    /// `size` in bytes, the same for all clients of the image.
    pub fn new(image: Arc<Image>, size: u64, req: &OpenRequest) -> RamDisk {
        let mut info = Info::writable(size);
        (info.flush, info.trim, info.fast_zero, info.multi_conn) = (true, true, true, true);
        (info.zero, info.fua, info.cache) = (Support::Native, Support::Native, Support::Native);
        info.extents = image.has_holes();
        info.block = Some(BlockSize { minimum: 1, preferred: PAGE_SIZE as u32, maximum: u32::MAX });
        if req.read_only {
            info.without_writing();
        }
        RamDisk { image, info, pool: req.pool() }
    }

    fn change<'a>(&'a self, change: impl FnOnce() -> Op<'a, ()>) -> Op<'a, ()> {
        match self.info.write {
            true => change(),
            false => Op::err(Error::new(EROFS, "the disk was opened to be read only")),
        }
    }
}

impl Disk for RamDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let span = Span::new(offset, len.into());
        if self.image.is_packed() && len as usize > PAGE_SIZE {
            let (image, pool) = (self.image.clone(), self.pool.clone());
            return Op::blocking(move || image.read(span, &pool));
        }
        self.image.read(span, &self.pool).into()
    }

    fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        self.change(|| {
            if self.image.is_packed() {
                let image = self.image.clone();
                return Op::blocking(move || image.write(&data, offset));
            }
            self.image.write(&data, offset).into()
        })
    }

    /// There is no storage more permanent than this.
    fn flush(&self) -> Op<'_, ()> {
        Op::ok(())
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.zero(span, flags)
    }

    fn zero(&self, span: Span, _: Flags) -> Op<'_, ()> {
        self.change(|| {
            if span.len > HOP || self.image.is_packed() {
                let image = self.image.clone();
                return Op::blocking(move || image.zero(span));
            }
            self.image.zero(span).into()
        })
    }

    /// It is in memory already.
    fn cache(&self, _: Span) -> Op<'_, ()> {
        Op::ok(())
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        Op::ok(self.image.extents(span, flags.req_one))
    }
}
