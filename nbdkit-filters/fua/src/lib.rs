// SPDX-License-Identifier: BSD-3-Clause
//! The fua filter: hides, emulates, forces or drops forced unit access (FUA), and flushes at the end.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod mode;

use mode::Mode;
use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Fua>("fua", "changes how forced unit access is done");

params! {
    struct Params {
        /// What becomes of FUA: clients cannot ask for it (`none`), it is done by flushing (`emulate`), by the disk
        /// behind (`native`), with every write whether asked for or not (`force`), as if the filter were not there
        /// (`pass`), or neither it nor flushing is done (`discard`).
        "fua-mode" | "fuamode" => mode: Mode = Mode::None,
        /// Whether the disk is flushed when a client goes.
        "flush-on-close" => flush_on_close: bool = false,
    }
}

/// The filter.
#[derive(Default)]
pub struct Fua {
    params: Params,
}

impl Filter for Fua {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let read_only = req.read_only;
        next.open(req).layer(move |next| {
            // Nothing is written then, and nothing has to be durable.
            let idle = read_only || !next.info().write;
            if !idle {
                self.params.check(next.info())?;
            }
            let mode = self.params.mode;
            let info = next.info().with(|info| mode.show_in(info));
            Ok(Durable { next, info, mode, flush_on_close: self.params.flush_on_close && !idle })
        })
    }
}

impl Params {
    /// Can a disk that is `behind` do what is asked?
    fn check(&self, behind: &Info) -> Result<()> {
        let needs = |what: String| Err(Error::invalid(what));
        let mode = self.mode.show();
        match self.mode {
            Mode::Emulate if !behind.flush => {
                needs(format!("fua-mode={mode} needs a disk behind that can flush"))
            }
            Mode::Native | Mode::Force if !behind.fua.works() => needs(format!(
                "fua-mode={mode} needs a disk behind that can do forced unit access (FUA), should be none, pass or discard"
            )),
            _ if self.flush_on_close && !behind.flush => {
                needs("flush-on-close=true needs a disk behind that can flush".to_owned())
            }
            _ => Ok(()),
        }
    }
}

struct Durable {
    next: Arc<dyn Disk>,
    info: Info,
    mode: Mode,
    flush_on_close: bool,
}

impl Durable {
    fn flags(&self, flags: Flags) -> Flags {
        let fua = match self.mode {
            Mode::Force => true,
            Mode::None | Mode::Discard => false,
            // With `emulate`, whoever is in front has taken the flag off and flushes.
            Mode::Emulate | Mode::Native | Mode::Pass => flags.fua,
        };
        Flags { fua, ..flags }
    }
}

impl Layer for Durable {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.next.pwrite(data, offset, self.flags(flags))
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.next.trim(span, self.flags(flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.next.zero(span, self.flags(flags))
    }

    fn flush(&self) -> Op<'_, ()> {
        match self.mode {
            // With `force`, all that was answered is durable already.
            Mode::Force | Mode::Discard => Op::ok(()),
            Mode::None | Mode::Emulate | Mode::Native | Mode::Pass => self.next.flush(),
        }
    }

    fn close(&self) -> Op<'_, ()> {
        match self.flush_on_close {
            true => self
                .next
                .flush()
                .then(|flushed| self.next.close().then(move |closed| flushed.and(closed).into())),
            false => self.next.close(),
        }
    }
}
