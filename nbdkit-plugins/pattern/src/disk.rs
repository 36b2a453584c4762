// SPDX-License-Identifier: BSD-3-Clause
//! [`PatternDisk`]: reads the pattern, and compares to it what is written.

use crate::pattern::Pattern;
use nbdkit_computed_bytes::{Computed, run};
use nbdkit_plugin::*;

pub(crate) struct PatternDisk {
    info: Info,
    pattern: Pattern,
    pool: Pool,
}

impl PatternDisk {
    /// `size` in bytes.
    pub(crate) fn new(size: u64, pattern: Pattern, read_only: bool, pool: Pool) -> PatternDisk {
        // Zeroes are written, and so compared as well.
        let mut info = Info::writable(size);
        (info.multi_conn, info.cache) = (true, Support::Native);
        if read_only {
            info.without_writing();
        }
        PatternDisk { info, pattern, pool }
    }
}

impl Disk for PatternDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let (pattern, pool, len) = (self.pattern, self.pool.clone(), len as usize);
        run(len, move || {
            let mut buf = pool.get(len);
            pattern.fill(&mut buf, offset);
            Ok(buf.freeze().into())
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, _flags: Flags) -> Op<'_, ()> {
        let pattern = self.pattern;
        run(data.len(), move || pattern.compare(&data, offset))
    }

    fn cache(&self, _span: Span) -> Op<'_, ()> {
        Op::ok(())
    }
}
