// SPDX-License-Identifier: BSD-3-Clause
//! [`Info`]: what a disk is and can do.

use std::sync::Arc;

/// How an operation is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Support {
    /// Not at all: clients are not told of it.
    #[default]
    None,
    /// "Do it for me through my other operations": whoever opens the disk arranges that.
    Emulate,
    /// That has been arranged: it works, but not natively.
    Emulated,
    /// The disk does it itself.
    Native,
}

impl Support {
    /// True unless [`Support::None`].
    pub fn works(self) -> bool {
        self != Support::None
    }
}

/// Block size constraints in bytes (NBD specification, "Block size constraints"). Advice to the client: the
/// server does not reject requests that break them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockSize {
    /// Power of two, 1 to 65536.
    pub minimum: u32,
    /// Power of two, 512 to 32 MiB, at least `minimum`.
    pub preferred: u32,
    /// A multiple of `minimum`, or `u32::MAX`; at least `preferred`.
    pub maximum: u32,
}

impl BlockSize {
    /// Says what is wrong with these sizes, if anything.
    pub fn check(&self) -> Result<(), String> {
        let BlockSize { minimum, preferred, maximum } = *self;
        if !minimum.is_power_of_two() || minimum > 65536 {
            return Err(format!("minimum block size {minimum} must be a power of 2 between 1 and 65536"));
        }
        if !preferred.is_power_of_two() || !(512..=32 << 20).contains(&preferred) {
            return Err(format!("preferred block size {preferred} must be a power of 2 between 512 and 32M"));
        }
        if maximum != u32::MAX && maximum % minimum != 0 {
            return Err(format!(
                "maximum block size {maximum} must be 4294967295 or a multiple of {minimum}"
            ));
        }
        if minimum > preferred || preferred > maximum {
            return Err(format!("block sizes {minimum}, {preferred}, {maximum} must not decrease"));
        }
        Ok(())
    }
}

/// What a disk is and can do: made once, when it is opened.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Info {
    /// In bytes; at most 2^63 - 1.
    pub size: u64,
    /// What sizes of requests it likes.
    pub block: Option<BlockSize>,
    /// For people; at most 4096 bytes.
    pub description: Option<Arc<str>>,
    /// May be written.
    pub write: bool,
    /// Knows `flush`.
    pub flush: bool,
    /// Knows `trim`.
    pub trim: bool,
    /// Zeroing is faster than writing, or fails at once.
    pub fast_zero: bool,
    /// Seeks cost time: a spinning disk.
    pub rotational: bool,
    /// A flush on one connection covers the writes of all.
    pub multi_conn: bool,
    /// `extents` says where the holes are; without it, all is data.
    pub extents: bool,
    /// How zeroing is done.
    pub zero: Support,
    /// How forced unit access is done.
    pub fua: Support,
    /// How a cache request is done.
    pub cache: Support,
}

impl Info {
    /// A disk that can be read and nothing else. `size` in bytes.
    pub fn read_only(size: u64) -> Info {
        Info { size, ..Info::default() }
    }

    /// A disk that can be read and written; zeroes are written out. `size` in bytes.
    pub fn writable(size: u64) -> Info {
        Info { size, write: true, zero: Support::Emulate, ..Info::default() }
    }

    /// A copy with changes: `disk.info().with(|info| info.size = n)`.
    pub fn with(&self, change: impl FnOnce(&mut Info)) -> Info {
        let mut info = self.clone();
        change(&mut info);
        info
    }

    /// Takes away everything that writes: what a client that may only read is shown.
    pub fn without_writing(&mut self) {
        (self.write, self.trim, self.fast_zero) = (false, false, false);
        (self.zero, self.fua) = (Support::None, Support::None);
    }

    /// True if some operation says [`Support::Emulate`].
    pub fn asks_for_emulation(&self) -> bool {
        [self.zero, self.fua, self.cache].contains(&Support::Emulate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_sizes_are_checked() {
        let check = |minimum, preferred, maximum| BlockSize { minimum, preferred, maximum }.check();
        assert!(check(1, 32768, u32::MAX).is_ok());
        assert!(check(512, 4096, 1 << 20).is_ok());
        for (minimum, preferred, maximum) in [
            (0, 512, 512),
            (3, 512, 1024),
            (1 << 17, 1 << 17, u32::MAX),
            (1, 256, 512),
            (512, 512, 700),
            (4096, 512, 4096),
        ] {
            assert!(check(minimum, preferred, maximum).is_err(), "{minimum} {preferred} {maximum}");
        }
    }
}
