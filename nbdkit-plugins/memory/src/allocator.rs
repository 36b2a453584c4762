// SPDX-License-Identifier: BSD-3-Clause
//! [`Allocator`]: the values of `allocator=`.

use nbdkit_plugin::{Value, values::text};
use std::ffi::OsStr;

/// Where the bytes of the disk are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Allocator {
    /// In pages that are taken when they are first written.
    Sparse,
    /// In memory that is there from the start.
    Malloc {
        /// It is never swapped out.
        mlock: bool,
    },
}

const CHOICES: &str = "should be sparse or malloc[,mlock=BOOL]";

impl Value for Allocator {
    const KIND: &'static str = "sparse|malloc[,mlock=BOOL]";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let value = text(value)?;
        let (name, options) = value.split_once(',').map_or((value, None), |(name, rest)| (name, Some(rest)));
        match (name, options) {
            ("sparse", None) => Ok(Allocator::Sparse),
            ("malloc", None) => Ok(Allocator::Malloc { mlock: false }),
            ("malloc", Some(options)) => match options.strip_prefix("mlock=") {
                Some(mlock) => Ok(Allocator::Malloc { mlock: bool::parse(OsStr::new(mlock))? }),
                None => Err(format!("unknown option \"{options}\" of malloc, {CHOICES}")),
            },
            ("sparse", Some(options)) => Err(format!("sparse has no option \"{options}\", {CHOICES}")),
            ("zstd", _) => Err(format!("allocator \"zstd\" is not part of this build, {CHOICES}")),
            _ => Err(format!("unknown allocator \"{name}\", {CHOICES}")),
        }
    }

    fn show(&self) -> String {
        let name = match self {
            Allocator::Sparse => "sparse",
            Allocator::Malloc { mlock: false } => "malloc",
            Allocator::Malloc { mlock: true } => "malloc,mlock=true",
        };
        name.to_owned()
    }
}
