// SPDX-License-Identifier: BSD-3-Clause
//! [`SparseDisk`]: reads the image, and compares to it what is written.

use crate::image::Image;
use nbdkit_computed_bytes::{Computed, run};
use nbdkit_plugin::*;

pub(crate) struct SparseDisk {
    info: Info,
    image: Image,
    pool: Pool,
}

impl SparseDisk {
    /// `size` in bytes.
    pub(crate) fn new(image: Image, size: u64, read_only: bool, pool: Pool) -> SparseDisk {
        let mut info = Info::writable(size);
        (info.flush, info.trim, info.extents, info.multi_conn) = (true, true, true, true);
        (info.zero, info.fua, info.cache) = (Support::Native, Support::Native, Support::Native);
        info.block = Some(BlockSize { minimum: 1, preferred: 4096, maximum: u32::MAX });
        if read_only {
            info.without_writing();
        }
        SparseDisk { info, image, pool }
    }
}

impl Disk for SparseDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let span = Span::new(offset, len.into());
        if self.image.is_hole(span) {
            return Op::ok(Data::zero(span.len));
        }
        let (image, pool) = (self.image, self.pool.clone());
        run(len as usize, move || Ok(image.read(span, &pool)))
    }

    fn pwrite(&self, data: Buf, offset: u64, _flags: Flags) -> Op<'_, ()> {
        let image = self.image;
        run(data.len(), move || image.compare(&data, offset))
    }

    fn flush(&self) -> Op<'_, ()> {
        Op::ok(())
    }

    /// To trim is to make zero, and so both are compared.
    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.zero(span, flags)
    }

    fn zero(&self, span: Span, _flags: Flags) -> Op<'_, ()> {
        self.image.compare_zeroes(span).into()
    }

    fn cache(&self, _span: Span) -> Op<'_, ()> {
        Op::ok(())
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        Op::ok(self.image.extents(span, flags.req_one))
    }
}
