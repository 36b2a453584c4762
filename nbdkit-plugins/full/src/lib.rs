// SPDX-License-Identifier: BSD-3-Clause
//! The full plugin: a disk without free space.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_plugin::*;

/// How the plugin is announced.
pub static PLUGIN: PluginEntry = PluginEntry::new::<Full>("full", "a disk without free space").callbacks(&[
    "can_multi_conn",
    "can_cache",
    "pwrite",
    "trim",
    "zero",
    "extents",
]);

params! {
    struct Params {
        /// Size of the disk.
        [magic] [required "size parameter is required"]
        "size" => size: Required<Size>,
    }
}

#[derive(Default)]
struct Full {
    params: Params,
}

impl Plugin for Full {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let mut info = Info::writable(self.params.size.0);
        (info.trim, info.fast_zero, info.extents, info.multi_conn) = (true, true, true, true);
        (info.zero, info.cache) = (Support::Native, Support::Native);
        if req.read_only {
            info.without_writing();
        }
        req.ready(FullDisk { info })
    }
}

struct FullDisk {
    info: Info,
}

/// What every change is answered with. Trimming fails too: there is nothing that could be given back.
fn no_space<T>() -> Op<'static, T> {
    Op::err(Error::new(ENOSPC, "the disk is full"))
}

impl Disk for FullDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, _offset: u64) -> Op<'_, Data> {
        Op::ok(Data::zero(len.into()))
    }

    fn pwrite(&self, _data: Buf, _offset: u64, _flags: Flags) -> Op<'_, ()> {
        no_space()
    }

    fn trim(&self, _span: Span, _flags: Flags) -> Op<'_, ()> {
        no_space()
    }

    fn zero(&self, _span: Span, _flags: Flags) -> Op<'_, ()> {
        no_space()
    }

    fn cache(&self, _span: Span) -> Op<'_, ()> {
        Op::ok(())
    }

    fn extents(&self, span: Span, _flags: Flags) -> Op<'_, Extents> {
        Op::ok(Extents::hole(span.len))
    }
}
