// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::*;

params! {
    struct Params {
        /// Size of the disk.
        [magic] "size" => size: Size = Size(0),
    }
}

#[derive(Default)]
struct Null {
    params: Params,
}

/// The plugin, for the server's registry.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<Null>("null", "reads zeroes and drops writes").callbacks(&[
        "pwrite",
        "flush",
        "trim",
        "zero",
        "extents",
        "cache",
        "can_write",
        "can_flush",
        "can_trim",
        "can_zero",
        "can_fast_zero",
        "can_fua",
        "can_extents",
        "can_cache",
        "can_multi_conn",
    ]);

impl Plugin for Null {
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
        req.ready(NullDisk { info })
    }
}

struct NullDisk {
    info: Info,
}

impl Disk for NullDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, _offset: u64) -> Op<'_, Data> {
        Op::ok(Data::zero(len.into()))
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
        Op::ok(Extents::hole(span.len))
    }
}
