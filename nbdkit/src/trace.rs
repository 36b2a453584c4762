// SPDX-License-Identifier: BSD-3-Clause
//! Under `-v`: one line for each call that a component gets. Without `-v` none of this is there.

use nbdkit_filter::{Below, Next, OpenedExt};
use nbdkit_plugin::{Arc, Around, Call, Connection, Disk, Export, Kind, Log, Op, OpenRequest, Opened};

/// Which calls are shown: `-D nbdkit.backend.controlpath=0` and `-D nbdkit.backend.datapath=0` take some away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Detail {
    /// Opening, closing, listing.
    pub control: bool,
    /// What clients do with an open disk.
    pub data: bool,
}

impl Default for Detail {
    fn default() -> Self {
        Detail { control: true, data: true }
    }
}

/// `next`, whose calls are shown under the name of its outermost component.
pub fn trace(name: &'static str, next: Next, detail: Detail) -> Next {
    let model = next.thread_model();
    Next::over(Traced { name, next, detail }, model)
}

struct Traced {
    name: &'static str,
    next: Next,
    detail: Detail,
}

impl Traced {
    fn say(&self, connection: &Connection, call: std::fmt::Arguments<'_>) {
        if self.detail.control {
            connection.log().named(self.name).debug(call);
        }
    }
}

impl Below for Traced {
    fn preconnect(&self, connection: Connection) -> Op<'static, ()> {
        self.say(&connection, format_args!("preconnect"));
        self.next.preconnect(connection)
    }

    fn list_exports(&self, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        self.say(&req.connection, format_args!("list_exports readonly={} tls={}", req.read_only, req.tls));
        self.next.list_exports(req)
    }

    fn default_export(&self, req: OpenRequest) -> Op<'static, Option<String>> {
        self.say(&req.connection, format_args!("default_export readonly={} tls={}", req.read_only, req.tls));
        self.next.default_export(req)
    }

    fn open(&self, req: OpenRequest) -> Opened {
        let (log, detail) = (req.connection.log().named(self.name), self.detail);
        let OpenRequest { read_only, export, tls, connection, .. } = &req;
        self.say(connection, format_args!("open readonly={read_only} exportname={export:?} tls={tls}"));
        self.next.open(req).around(move |next| {
            if detail.control {
                log.debug(format_args!("opened {:?}", next.info()));
            }
            Ok(Shown { next, log, detail })
        })
    }

    fn cleanup(&self) -> Op<'static, ()> {
        self.next.cleanup()
    }
}

struct Shown {
    next: Arc<dyn Disk>,
    log: Log,
    detail: Detail,
}

impl Around for Shown {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T> + Send + 'a,
    ) -> Op<'a, T> {
        let shown = match call.kind {
            Kind::Finalize | Kind::Close => self.detail.control,
            _ => self.detail.data,
        };
        if !shown {
            return op(&*self.next);
        }
        let name = match call.kind {
            Kind::Read => "pread",
            Kind::Write => "pwrite",
            Kind::Flush => "flush",
            Kind::Trim => "trim",
            Kind::Zero => "zero",
            Kind::Cache => "cache",
            Kind::Extents => "extents",
            Kind::Finalize => "finalize",
            Kind::Close => "close",
        };
        match call.kind {
            Kind::Flush | Kind::Finalize | Kind::Close => self.log.debug(format_args!("{name}")),
            _ => self.log.debug(format_args!(
                "{name} count={} offset={}{}{}{}{}",
                call.span.len,
                call.span.offset,
                if call.flags.fua { " fua=1" } else { "" },
                if call.flags.may_trim { " may_trim=1" } else { "" },
                if call.flags.fast_zero { " fast=1" } else { "" },
                if call.flags.req_one { " req_one=1" } else { "" },
            )),
        }
        op(&*self.next).finally(move |result| {
            if let Err(error) = result {
                self.log.debug(format_args!("{name} failed: {error}"));
            }
        })
    }
}
