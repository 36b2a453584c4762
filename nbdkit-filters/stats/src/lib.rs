// SPDX-License-Identifier: BSD-3-Clause
//! The stats filter: counts operations, their bytes and their time, and writes that down when the server ends.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod counts;
mod json;
mod text;

use counts::Counts;
use nbdkit_filter::{values::one_of, *};
use std::{
    ffi::OsStr,
    fs::File,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Stats>("stats", "count operations and how long they take");

params! {
    struct Params {
        /// The file that is written when the server ends.
        [required "stats filter requires statsfile parameter"]
        "statsfile" => file: Required<PathBuf>,
        /// Whether the file keeps what it has and is added to.
        "statsappend" => append: bool = false,
        /// How much of the requests, in percent, the breakdown by size and alignment covers at least. 0: no breakdown.
        "statsthreshold" => threshold: i32 = 95,
        /// How the file is written: for people (`text`), or one line of `json`.
        "statsformat" => format: Format = Format::Text,
    }
}

/// How the file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Value for Format {
    const KIND: &'static str = "text|json";

    fn parse(value: &OsStr) -> Result<Self, String> {
        one_of(value, &[("text", Format::Text), ("json", Format::Json)])
    }

    fn show(&self) -> String {
        match self {
            Format::Text => "text".to_owned(),
            Format::Json => "json".to_owned(),
        }
    }
}

/// The filter.
#[derive(Default)]
pub struct Stats {
    params: Params,
    /// The file, and since when is counted.
    ready: Option<(File, Instant)>,
    counts: Counts,
}

impl Filter for Stats {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config_complete(&mut self) -> Result<()> {
        self.params.complete()?;
        let threshold = self.params.threshold;
        if !(0..=100).contains(&threshold) {
            return Err(Error::invalid(format!(
                "statsthreshold must be between 0 and 100 (percent), not {threshold}"
            )));
        }
        Ok(())
    }

    /// Opened here and not at the end: while the user is looking, and before privileges are dropped.
    fn get_ready(&mut self) -> Result<()> {
        let Params { file, append, .. } = &self.params;
        let opened = File::options().create(true).write(true).truncate(!append).append(*append).open(&**file);
        let opened = opened.map_err(|error| Error::io(error, format!("open: {}", file.display())))?;
        self.ready = Some((opened, Instant::now()));
        self.counts = Counts::new(self.params.threshold > 0);
        Ok(())
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        next.open(req).around(move |next| Ok(Counted { next, filter: self }))
    }

    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        Op::blocking(move || match &self.ready {
            Some((file, start)) => self.write(file, start.elapsed()),
            None => Ok(()),
        })
    }
}

impl Stats {
    fn write(&self, mut file: &File, elapsed: Duration) -> Result<()> {
        // 0 to 100, as was checked.
        let threshold = self.params.threshold.unsigned_abs().into();
        let report = match self.params.format {
            Format::Text => text::report(&self.counts, elapsed, threshold),
            Format::Json => json::report(&self.counts, elapsed),
        };
        file.write_all(report.as_bytes())
            .map_err(|error| Error::io(error, format!("write: {}", self.params.file.display())))
    }
}

struct Counted {
    next: Arc<dyn Disk>,
    filter: Arc<Stats>,
}

impl Around for Counted {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T> + Send + 'a,
    ) -> Op<'a, T> {
        let Some(counter) = self.filter.counts.of(call.kind) else { return op(&*self.next) };
        let start = Instant::now();
        op(&*self.next).finally(move |result| {
            if result.is_ok() {
                counter.count(call.span, start.elapsed(), self.filter.counts.histogram);
            }
        })
    }
}
