// SPDX-License-Identifier: BSD-3-Clause
//! The ones plugin: reads ones, or any other byte, and drops writes.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::*;

/// How the plugin is announced.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<Ones>("ones", "reads ones, or any other byte, and drops writes").callbacks(&[
        "can_write",
        "can_flush",
        "can_trim",
        "can_zero",
        "can_fast_zero",
        "can_fua",
        "can_multi_conn",
        "can_cache",
        "pwrite",
        "flush",
        "trim",
        "zero",
        "extents",
    ]);

params! {
    struct Params {
        /// Size of the disk.
        [magic] "size" => size: Size = Size(0),
        /// The byte that is everywhere on the disk, 0 to 255.
        "byte" => byte: u8 = 0xff,
    }
}

#[derive(Default)]
struct Ones {
    params: Params,
}

/// What clients commonly ask for at once, in bytes.
const BLOCK: usize = 256 << 10;

impl Plugin for Ones {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let mut info = Info::writable(self.params.size.0);
        (info.flush, info.trim, info.fast_zero, info.extents, info.multi_conn) =
            (true, true, true, true, true);
        (info.zero, info.fua, info.cache) = (Support::Native, Support::Native, Support::Native);
        if req.read_only {
            info.without_writing();
        }
        let mut block = req.pool().get(BLOCK);
        block.fill(self.params.byte);
        req.ready(OnesDisk { info, block: block.freeze() })
    }
}

struct OnesDisk {
    info: Info,
    /// Every answer is made of this, and copies nothing.
    block: Buf,
}

impl Disk for OnesDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, _offset: u64) -> Op<'_, Data> {
        let len = len as usize;
        if len <= BLOCK {
            return Op::ok(self.block.slice(0..len).into());
        }
        let blocks = (0..len).step_by(BLOCK).map(|at| self.block.slice(0..BLOCK.min(len - at)));
        Op::ok(blocks.map(Run::Bytes).collect::<Vec<_>>().into())
    }

    fn pwrite(&self, _data: Buf, _offset: u64, _flags: Flags) -> Op<'_, ()> {
        Op::ok(())
    }

    fn flush(&self) -> Op<'_, ()> {
        Op::ok(())
    }

    fn trim(&self, _span: Span, _flags: Flags) -> Op<'_, ()> {
        Op::ok(())
    }

    fn zero(&self, _span: Span, _flags: Flags) -> Op<'_, ()> {
        Op::ok(())
    }

    fn cache(&self, _span: Span) -> Op<'_, ()> {
        Op::ok(())
    }

    fn extents(&self, span: Span, _flags: Flags) -> Op<'_, Extents> {
        Op::ok(Extents::data(span.len))
    }
}
