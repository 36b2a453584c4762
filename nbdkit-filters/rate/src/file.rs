// SPDX-License-Identifier: BSD-3-Clause
//! [`RateFile`]: a rate that somebody may change while we run.

use crate::values::Rate;
use nbdkit_filter::{Log, Size, Value};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    num::NonZeroU64,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often it is looked at, at most.
const LOOK: Duration = Duration::from_millis(100);
/// More than any number is long, in bytes.
const MOST: u64 = 256;

pub(crate) struct RateFile {
    path: PathBuf,
    looked: Option<Instant>,
    /// What it had in it: a mistake is reported once, not ten times a second.
    seen: Vec<u8>,
}

impl RateFile {
    pub(crate) fn new(path: &Path) -> RateFile {
        RateFile { path: path.to_owned(), looked: None, seen: Vec::new() }
    }

    /// What it says, if that is new: a rate, or `Some(None)` for no limit. While it does not exist it says nothing.
    pub(crate) fn look(&mut self, now: Instant, log: &Log) -> Option<Option<Rate>> {
        if self.looked.is_some_and(|looked| now < looked + LOOK) {
            return None;
        }
        self.looked = Some(now);
        let text = read(&self.path)?;
        if text == self.seen {
            return None;
        }
        self.seen = text;
        match Size::parse(OsStr::from_bytes(self.seen.trim_ascii())) {
            Ok(Size(bits)) => Some(NonZeroU64::new(bits).map(Rate)),
            Err(error) => {
                log.error(format_args!("{}: {error}", self.path.display()));
                None
            }
        }
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    // Opening a pipe would wait for somebody to write.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    File::open(path).ok()?.take(MOST).read_to_end(&mut text).ok()?;
    Some(text)
}
