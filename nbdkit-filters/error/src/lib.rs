// SPDX-License-Identifier: BSD-3-Clause
//! The error filter: makes operations fail at random, to see how clients take it.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod dice;
mod values;

use dice::Dice;
use nbdkit_filter::*;
use std::path::PathBuf;
pub use values::{Errno, Rate};

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Inject>("error", "make operations fail at random");

params! {
    struct Params {
        /// Which error clients get.
        "error" => error: Errno = Errno::EIO,
        /// How often operations fail.
        "error-rate" => rate: Rate = Rate::NEVER,
        /// Operations fail only while this file exists.
        "error-file" => file: Option<PathBuf>,
        /// The same for reads only, in place of `error`.
        "error-pread" => pread: Option<Errno>,
        /// The same for reads only, in place of `error-rate`.
        "error-pread-rate" => pread_rate: Option<Rate>,
        /// The same for reads only, in place of `error-file`.
        "error-pread-file" => pread_file: Option<PathBuf>,
        /// The same for writes only, in place of `error`.
        "error-pwrite" => pwrite: Option<Errno>,
        /// The same for writes only, in place of `error-rate`.
        "error-pwrite-rate" => pwrite_rate: Option<Rate>,
        /// The same for writes only, in place of `error-file`.
        "error-pwrite-file" => pwrite_file: Option<PathBuf>,
        /// The same for trims only, in place of `error`.
        "error-trim" => trim: Option<Errno>,
        /// The same for trims only, in place of `error-rate`.
        "error-trim-rate" => trim_rate: Option<Rate>,
        /// The same for trims only, in place of `error-file`.
        "error-trim-file" => trim_file: Option<PathBuf>,
        /// The same for zeroing only, in place of `error`.
        "error-zero" => zero: Option<Errno>,
        /// The same for zeroing only, in place of `error-rate`.
        "error-zero-rate" => zero_rate: Option<Rate>,
        /// The same for zeroing only, in place of `error-file`.
        "error-zero-file" => zero_file: Option<PathBuf>,
        /// The same for block status (extents) only, in place of `error`.
        "error-extents" => extents: Option<Errno>,
        /// The same for block status (extents) only, in place of `error-rate`.
        "error-extents-rate" => extents_rate: Option<Rate>,
        /// The same for block status (extents) only, in place of `error-file`.
        "error-extents-file" => extents_file: Option<PathBuf>,
        /// The same for cache requests only, in place of `error`.
        "error-cache" => cache: Option<Errno>,
        /// The same for cache requests only, in place of `error-rate`.
        "error-cache-rate" => cache_rate: Option<Rate>,
        /// The same for cache requests only, in place of `error-file`.
        "error-cache-file" => cache_file: Option<PathBuf>,
    }
}

/// The filter.
#[derive(Default)]
pub struct Inject {
    params: Params,
    dice: Dice,
}

impl Filter for Inject {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let log = req.log().clone();
        next.open(req).around(move |next| Ok(Injected { next, log, filter: self }))
    }
}

/// What can happen to one kind of operation.
struct Trap<'a> {
    operation: &'static str,
    rate: Rate,
    error: Errno,
    file: Option<&'a PathBuf>,
}

impl Params {
    /// `None`: these operations never fail.
    fn trap(&self, kind: Kind) -> Option<Trap<'_>> {
        let (operation, error, rate, file) = match kind {
            Kind::Read => ("pread", self.pread, self.pread_rate, &self.pread_file),
            Kind::Write => ("pwrite", self.pwrite, self.pwrite_rate, &self.pwrite_file),
            Kind::Trim => ("trim", self.trim, self.trim_rate, &self.trim_file),
            Kind::Zero => ("zero", self.zero, self.zero_rate, &self.zero_file),
            Kind::Extents => ("extents", self.extents, self.extents_rate, &self.extents_file),
            Kind::Cache => ("cache", self.cache, self.cache_rate, &self.cache_file),
            Kind::Flush | Kind::Finalize | Kind::Close => return None,
        };
        let rate = rate.unwrap_or(self.rate);
        (rate != Rate::NEVER).then(|| Trap {
            operation,
            rate,
            error: error.unwrap_or(self.error),
            file: file.as_ref().or(self.file.as_ref()),
        })
    }
}

struct Injected {
    next: Arc<dyn Disk>,
    log: Log,
    filter: Arc<Inject>,
}

impl Around for Injected {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T> + Send + 'a,
    ) -> Op<'a, T> {
        match self.filter.params.trap(call.kind).filter(|trap| self.springs(trap)) {
            None => op(&*self.next),
            Some(Trap { error, operation, .. }) => {
                // Said here because a filter in front may try again and hide it.
                self.log.error(format_args!("injecting {error} error into {operation}"));
                Op::err(Error::new(error.number(), format!("{error} was injected into {operation}")))
            }
        }
    }
}

impl Injected {
    fn springs(&self, trap: &Trap<'_>) -> bool {
        // The dice first: they need no system call.
        self.filter.dice.roll() < trap.rate.0 && trap.file.is_none_or(|file| file.exists())
    }
}
