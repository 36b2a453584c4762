// SPDX-License-Identifier: BSD-3-Clause
//! The readonly filter: write protection, for good or while a file exists.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;
use std::path::PathBuf;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Readonly>("readonly", "makes the disk read-only, always or for a time");

params! {
    struct Params {
        /// The disk is write-protected while this file exists. Without it, always.
        "readonly-file" => file: Option<PathBuf>,
    }
}

/// The filter.
#[derive(Default)]
pub struct Readonly {
    params: Params,
}

impl Filter for Readonly {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, mut req: OpenRequest) -> Opened {
        let always = self.params.file.is_none();
        // Then nobody will write, and the plugin need not open anything for writing.
        req.read_only |= always;
        next.open(req).layer(move |next| {
            let mut info = next.info().clone();
            if always {
                info.without_writing();
            }
            Ok(Protected { next, info, filter: self })
        })
    }
}

struct Protected {
    next: Arc<dyn Disk>,
    info: Info,
    filter: Arc<Readonly>,
}

impl Protected {
    fn unless_protected<'a>(&'a self, op: impl FnOnce(&'a dyn Disk) -> Op<'a, ()>) -> Op<'a, ()> {
        match &self.filter.params.file {
            None => refuse("the readonly filter protects this disk from writing".to_owned()),
            Some(file) if file.exists() => {
                refuse(format!("this disk is protected from writing while {} exists", file.display()))
            }
            Some(_) => op(&*self.next),
        }
    }
}

fn refuse(why: String) -> Op<'static, ()> {
    Op::err(Error::new(EPERM, why))
}

impl Layer for Protected {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.unless_protected(|next| next.pwrite(data, offset, flags))
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.unless_protected(|next| next.trim(span, flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.unless_protected(|next| next.zero(span, flags))
    }
}
