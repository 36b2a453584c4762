// SPDX-License-Identifier: BSD-3-Clause
//! Under `-v`: one line for each call that a component gets, as `nbdkit: PLUGIN[CONNECTION]: debug: COMPONENT: CALL`.
//! Without `-v` none of this is there.

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

/// `next`, whose calls are shown. `name` is that of its outermost component, `plugin` that of the innermost; `log` speaks
/// for the server.
pub fn trace(name: &'static str, plugin: &'static str, next: Next, log: Log, detail: Detail) -> Next {
    let model = next.thread_model();
    Next::over(Traced { name, plugin, next, log, detail }, model)
}

struct Traced {
    name: &'static str,
    plugin: &'static str,
    next: Next,
    log: Log,
    detail: Detail,
}

impl Traced {
    fn say(&self, connection: &Connection, call: std::fmt::Arguments<'_>) {
        if self.detail.control {
            connection.log().named(self.plugin).debug(format_args!("{}: {call}", self.name));
        }
    }
}

/// As a C programmer writes it.
fn bit(truth: bool) -> u8 {
    truth.into()
}

impl Below for Traced {
    fn preconnect(&self, connection: Connection) -> Op<'static, ()> {
        self.say(&connection, format_args!("preconnect"));
        self.next.preconnect(connection)
    }

    fn list_exports(&self, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        let (readonly, tls) = (bit(req.read_only), bit(req.tls));
        self.say(&req.connection, format_args!("list_exports readonly={readonly} tls={tls}"));
        self.next.list_exports(req)
    }

    fn default_export(&self, req: OpenRequest) -> Op<'static, Option<String>> {
        let (readonly, tls) = (bit(req.read_only), bit(req.tls));
        self.say(&req.connection, format_args!("default_export readonly={readonly} tls={tls}"));
        self.next.default_export(req)
    }

    fn open(&self, req: OpenRequest) -> Opened {
        let (log, name, detail) = (req.connection.log().named(self.plugin), self.name, self.detail);
        let (readonly, tls) = (bit(req.read_only), bit(req.tls));
        let OpenRequest { export, connection, .. } = &req;
        self.say(connection, format_args!("open readonly={readonly} exportname={export:?} tls={tls}"));
        self.next.open(req).around(move |next| {
            if detail.control {
                log.debug(format_args!("{name}: opened {:?}", next.info()));
            }
            Ok(Shown { next, log, name, detail })
        })
    }

    fn cleanup(&self) -> Op<'static, ()> {
        if self.detail.control {
            self.log.debug(format_args!("{}: cleanup", self.name));
        }
        self.next.cleanup()
    }
}

struct Shown {
    next: Arc<dyn Disk>,
    log: Log,
    name: &'static str,
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
        let component = self.name;
        let verb = match call.kind {
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
        let Call { span, flags, .. } = call;
        let fua = bit(flags.fua);
        let flags = match call.kind {
            Kind::Write | Kind::Trim => format!(" fua={fua}"),
            Kind::Zero => {
                format!(" may_trim={} fua={fua} fast={}", bit(flags.may_trim), bit(flags.fast_zero))
            }
            Kind::Extents => format!(" req_one={}", bit(flags.req_one)),
            _ => String::new(),
        };
        match call.kind {
            Kind::Flush | Kind::Finalize | Kind::Close => self.log.debug(format_args!("{component}: {verb}")),
            _ => self
                .log
                .debug(format_args!("{component}: {verb} count={} offset={}{flags}", span.len, span.offset)),
        }
        op(&*self.next).finally(move |result| {
            if let Err(error) = result {
                self.log.debug(format_args!("{component}: {verb} failed: {error}"));
            }
        })
    }
}
