// SPDX-License-Identifier: BSD-3-Clause
//! What can be said on the command line.

use nbdkit_plugin::{
    Value, params,
    values::{one_of, text},
};
use rustix::fs::Advice;
use std::{ffi::OsStr, os::fd::RawFd, path::PathBuf};

params! {
    pub(crate) struct Params {
        /// File or block device to serve. One of file, dir, fd and dirfd must be given.
        [magic] "file" => file: Option<PathBuf>,
        /// Directory whose files and block devices are served: the name of the export says which.
        "dir" => dir: Option<PathBuf>,
        /// Number of an inherited file descriptor to serve.
        "fd" => fd: Option<Fd>,
        /// Number of an inherited file descriptor of a directory to serve as dir does.
        "dirfd" => dirfd: Option<Fd>,
        /// What the system is told about how the file will be read.
        "fadvise" => fadvise: Fadvise = Fadvise(Advice::Normal),
        /// Keeps what is read and written out of the page cache, so that others keep their place in it.
        "reduce-memory-pressure" => reduce_memory_pressure: bool = false,
        /// Old spelling of reduce-memory-pressure: none means true.
        "cache" => cache: Cache = Cache::Default,
    }
}

params! {
    pub(crate) struct DebugFlags {
        /// Shows how each range is zeroed.
        "zero" => zero: i32 = 0,
    }
}

impl Params {
    /// True once one of the parameters that say what to serve was given.
    pub(crate) fn names_a_source(&self) -> bool {
        self.file.is_some() || self.dir.is_some() || self.fd.is_some() || self.dirfd.is_some()
    }

    /// True if pages are to be dropped after use.
    pub(crate) fn evicts(&self) -> bool {
        self.reduce_memory_pressure || self.cache == Cache::None
    }
}

/// The number of an inherited file descriptor, which is not standard input, output or error.
#[derive(Clone, Copy)]
pub(crate) struct Fd(pub RawFd);

impl Value for Fd {
    const KIND: &'static str = "FD";

    fn parse(value: &OsStr) -> Result<Self, String> {
        match text(value)?.parse() {
            Ok(number) if number > 2 => Ok(Fd(number)),
            Ok(number) => Err(format!(
                "file descriptor {number} cannot be served, should be 3 or more: \
                 0, 1 and 2 are the standard input, output and error of the server"
            )),
            Err(_) => Err(format!("{} is not a file descriptor, should be a number from 3", value.display())),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// How the file will be read (`posix_fadvise(2)`).
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Fadvise(pub Advice);

const ADVICE: [(&str, Advice); 3] =
    [("normal", Advice::Normal), ("random", Advice::Random), ("sequential", Advice::Sequential)];

impl Value for Fadvise {
    const KIND: &'static str = "normal|random|sequential";

    fn parse(value: &OsStr) -> Result<Self, String> {
        one_of(value, &ADVICE).map(Fadvise)
    }

    fn show(&self) -> String {
        ADVICE.iter().find(|(_, advice)| *advice == self.0).map_or("", |(word, _)| word).to_owned()
    }
}

/// The old parameter `cache`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Cache {
    Default,
    None,
}

impl Value for Cache {
    const KIND: &'static str = "default|none";

    fn parse(value: &OsStr) -> Result<Self, String> {
        one_of(value, &[("default", Cache::Default), ("none", Cache::None)])
    }

    fn show(&self) -> String {
        match self {
            Cache::Default => "default".to_owned(),
            Cache::None => "none".to_owned(),
        }
    }
}
