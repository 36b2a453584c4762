// SPDX-License-Identifier: BSD-3-Clause
//! [`RandomDisk`]: reads the noise, and compares to it what is written.

use crate::noise::Noise;
use nbdkit_computed_bytes::{Computed, run};
use nbdkit_plugin::*;

pub(crate) struct RandomDisk {
    info: Info,
    noise: Noise,
    pool: Pool,
}

impl RandomDisk {
    /// `size` in bytes.
    pub(crate) fn new(size: u64, noise: Noise, read_only: bool, pool: Pool) -> RandomDisk {
        let mut info = Info::writable(size);
        (info.trim, info.multi_conn) = (true, true);
        (info.zero, info.cache) = (Support::Native, Support::Native);
        if read_only {
            info.without_writing();
        }
        RandomDisk { info, noise, pool }
    }
}

impl Disk for RandomDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let (noise, pool, len) = (self.noise, self.pool.clone(), len as usize);
        run(len, move || {
            let mut buf = pool.get(len);
            noise.fill(&mut buf, offset);
            Ok(buf.freeze().into())
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, _flags: Flags) -> Op<'_, ()> {
        let noise = self.noise;
        run(data.len(), move || noise.compare(&data, offset))
    }

    /// To trim is to make zero, and so both are compared.
    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.zero(span, flags)
    }

    fn zero(&self, span: Span, _flags: Flags) -> Op<'_, ()> {
        self.noise.compare_zeroes(span).into()
    }

    fn cache(&self, _span: Span) -> Op<'_, ()> {
        Op::ok(())
    }
}
