// SPDX-License-Identifier: BSD-3-Clause
//! [`Allocator`]: the values of `allocator=`.

use nbdkit_plugin::{Value, values::text};
use std::ffi::OsStr;

/// Where the bytes of the disk are kept.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Allocator {
    /// In pages that are taken when they are first written.
    #[default]
    Sparse,
    /// In memory that is there from the start.
    Malloc {
        /// It is never swapped out.
        mlock: bool,
    },
    /// In pages that are taken when they are first written, and compressed.
    #[cfg(feature = "zstd")]
    Zstd,
}

#[cfg(feature = "zstd")]
const CHOICES: &str = "should be sparse, malloc[,mlock=BOOL] or zstd";
#[cfg(not(feature = "zstd"))]
const CHOICES: &str = "should be sparse or malloc[,mlock=BOOL]";

impl Value for Allocator {
    #[cfg(feature = "zstd")]
    const KIND: &'static str = "sparse|malloc[,mlock=BOOL]|zstd";
    #[cfg(not(feature = "zstd"))]
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
            #[cfg(feature = "zstd")]
            ("zstd", None) => Ok(Allocator::Zstd),
            #[cfg(not(feature = "zstd"))]
            ("zstd", None) => Err(format!("allocator \"zstd\" is not part of this build, {CHOICES}")),
            ("sparse" | "zstd", Some(options)) => {
                Err(format!("{name} has no option \"{options}\", {CHOICES}"))
            }
            _ => Err(format!("unknown allocator \"{name}\", {CHOICES}")),
        }
    }

    fn show(&self) -> String {
        let name = match self {
            Allocator::Sparse => "sparse",
            Allocator::Malloc { mlock: false } => "malloc",
            Allocator::Malloc { mlock: true } => "malloc,mlock=true",
            #[cfg(feature = "zstd")]
            Allocator::Zstd => "zstd",
        };
        name.to_owned()
    }
}
