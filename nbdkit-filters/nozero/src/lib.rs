// SPDX-License-Identifier: BSD-3-Clause
//! The nozero filter: hides zeroing, has zeroes written out, or takes away what makes zeroing fast.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod modes;

use modes::{FastMode, Mode};
use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Nozero>("nozero", "hides or slows down zeroing");

params! {
    struct Params {
        /// What becomes of zeroing: clients cannot ask for it (`none`), zeroes are written out (`emulate`), the disk
        /// behind does it without making holes (`notrim`), or as it likes (`plugin`).
        "zero-mode" | "zeromode" => mode: Mode = Mode::None,
        /// What becomes of fast zeroing: whatever fits `zero-mode` (`default`), clients cannot ask for it (`none`), it
        /// fails at once (`slow`), or it is as slow as any zeroing (`ignore`).
        "fast-zero-mode" | "fastzeromode" => fast: FastMode = FastMode::Default,
    }
}

/// The filter.
#[derive(Default)]
pub struct Nozero {
    params: Params,
}

impl Filter for Nozero {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let (read_only, pool) = (req.read_only, req.pool());
        let Params { mode, fast } = self.params;
        next.open(req).layer(move |next| {
            let works = next.info().zero.works();
            if matches!(mode, Mode::NoTrim | Mode::Plugin) && !works && !read_only {
                return Err(Error::invalid(format!(
                    "zero-mode={} needs a disk behind that can zero, should be none or emulate",
                    mode.show()
                )));
            }
            let next = match mode {
                Mode::Emulate if next.info().write => written(next, &pool),
                _ => next,
            };
            let info = next.info().with(|info| {
                if mode == Mode::None {
                    info.zero = Support::None;
                }
                info.fast_zero = info.zero.works()
                    && match fast {
                        FastMode::Default => info.fast_zero,
                        FastMode::None => false,
                        FastMode::Slow | FastMode::Ignore => true,
                    };
            });
            Ok(Zeroing { next, info, mode, fast })
        })
    }
}

/// The same disk, which has its zeroes written out. Behind our layer and not, as usual, in front of it: there a fast
/// zero would fail before we could make it an ordinary one.
fn written(next: Arc<dyn Disk>, pool: &Pool) -> Arc<dyn Disk> {
    struct Written {
        next: Arc<dyn Disk>,
        info: Info,
    }

    impl Layer for Written {
        fn next(&self) -> &dyn Disk {
            &*self.next
        }

        fn info(&self) -> &Info {
            &self.info
        }
    }

    let info = next.info().with(|info| info.zero = Support::Emulate);
    Emulate::around(layer(Written { next, info }), pool)
}

struct Zeroing {
    next: Arc<dyn Disk>,
    info: Info,
    mode: Mode,
    fast: FastMode,
}

impl Layer for Zeroing {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn zero(&self, span: Span, mut flags: Flags) -> Op<'_, ()> {
        match self.fast {
            _ if self.mode == Mode::None => return Op::err(Error::unsupported("zero")),
            FastMode::None | FastMode::Slow if flags.fast_zero => {
                return Op::err(Error::unsupported("fast zero"));
            }
            FastMode::Ignore => flags.fast_zero = false,
            _ => {}
        }
        flags.may_trim &= self.mode != Mode::NoTrim;
        self.next.zero(span, flags)
    }
}
