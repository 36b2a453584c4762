// SPDX-License-Identifier: BSD-3-Clause
//! Under `-v`: one line for each call that a component gets. Without `-v` none of this is there.

use nbdkit_filter::{Below, Next, OpenedExt};
use nbdkit_plugin::{
    Arc, Around, Call, Connection, Disk, Export, Kind, Log, Op, OpenRequest, Opened,
};

/// `next`, whose calls are shown under the name of its outermost component.
pub fn trace(name: &'static str, next: Next) -> Next {
    let model = next.thread_model();
    Next::over(Traced { name, next }, model)
}

struct Traced {
    name: &'static str,
    next: Next,
}

impl Traced {
    fn say(&self, connection: &Connection, call: std::fmt::Arguments<'_>) {
        connection.log().named(self.name).debug(call);
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
        let log = req.connection.log().named(self.name);
        log.debug(format_args!("open readonly={} exportname={:?} tls={}", req.read_only, req.export, req.tls));
        self.next.open(req).around(move |next| {
            log.debug(format_args!("opened {:?}", next.info()));
            Ok(Shown { next, log })
        })
    }

    fn cleanup(&self) -> Op<'static, ()> {
        self.next.cleanup()
    }
}

struct Shown {
    next: Arc<dyn Disk>,
    log: Log,
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
