// SPDX-License-Identifier: BSD-3-Clause
//! What both sides know of an export once it is open.

use alloc::string::String;
use core::fmt;

use crate::wire::{MAX_STRING, TransmissionFlags};

/// Most meta contexts of one session.
pub const MAX_CONTEXTS: usize = 32;

/// Which messages carry requests and replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Compact requests, simple replies.
    #[default]
    Simple,
    /// Compact requests, structured reply chunks.
    Structured,
    /// Extended requests, extended reply chunks.
    Extended,
}

impl Mode {
    /// Whether replies come in chunks.
    #[must_use]
    pub const fn has_chunks(self) -> bool {
        !matches!(self, Self::Simple)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Simple => "simple replies",
            Self::Structured => "structured replies",
            Self::Extended => "extended headers",
        })
    }
}

/// An open export, as the server describes it to the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportInfo {
    /// Size in bytes.
    pub size: u64,
    /// What it can do. A server leaves the flags that follow from the negotiation to the state machine.
    pub flags: TransmissionFlags,
    /// The size constraints, if there are any.
    pub block_size: Option<BlockSize>,
    /// The canonical name, if it is known; at most 4096 bytes.
    pub name: Option<String>,
    /// A text for people; at most 4096 bytes.
    pub description: Option<String>,
}

impl ExportInfo {
    /// An export of `size` bytes that can do `flags`.
    #[must_use]
    pub fn new(size: u64, flags: TransmissionFlags) -> Self {
        Self { size, flags, ..Self::default() }
    }

    /// The flags to send: what contradicts the specification or the negotiation is put right.
    pub(crate) fn advertised(&self, mode: Mode, has_contexts: bool) -> TransmissionFlags {
        use TransmissionFlags as F;
        let mut flags = self.flags.with(F::HAS_FLAGS);
        if flags.contains(F::READ_ONLY) {
            flags = flags.without(F::SEND_TRIM | F::SEND_WRITE_ZEROES | F::SEND_FUA);
        }
        if !flags.contains(F::SEND_WRITE_ZEROES) {
            flags = flags.without(F::SEND_FAST_ZERO);
        }
        flags
            .set(F::SEND_DF, mode.has_chunks())
            .set(F::BLOCK_STATUS_PAYLOAD, mode == Mode::Extended && has_contexts)
    }
}

/// The size constraints of an export (specification, "Size constraints").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockSize {
    /// Smallest length and alignment of a request in bytes: a power of two, 1 to 65536.
    pub min: u32,
    /// Length and alignment in bytes that work well: a power of two from 512, not below `min`.
    pub preferred: u32,
    /// Largest payload in bytes: `u32::MAX`, or a multiple of `min` not below `preferred`.
    pub max: u32,
}

impl BlockSize {
    /// Whether the three agree with the specification.
    ///
    /// # Errors
    /// Which of the three does not, and what would be right.
    pub const fn check(&self) -> Result<(), BlockSizeError> {
        if !self.min.is_power_of_two() || self.min > 65536 {
            return Err(BlockSizeError::Min(self.min));
        }
        if !self.preferred.is_power_of_two() || self.preferred < 512 || self.preferred > 32 << 20 {
            return Err(BlockSizeError::Preferred(self.preferred));
        }
        if self.preferred < self.min {
            return Err(BlockSizeError::PreferredBelowMin(*self));
        }
        if self.max != u32::MAX && (self.max % self.min != 0 || self.max < self.preferred) {
            return Err(BlockSizeError::Max(*self));
        }
        Ok(())
    }
}

/// Why a [`BlockSize`] cannot be advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockSizeError {
    /// The minimum is not a power of two between 1 and 65536.
    Min(u32),
    /// The preferred size is not a power of two between 512 and 32 MiB.
    Preferred(u32),
    /// The preferred size is below the minimum.
    PreferredBelowMin(BlockSize),
    /// The maximum is neither `u32::MAX` nor a multiple of the minimum that reaches the preferred size.
    Max(BlockSize),
}

impl fmt::Display for BlockSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Min(min) => write!(f, "minimum block size {min} is not a power of two between 1 and 65536"),
            Self::Preferred(preferred) => {
                write!(f, "preferred block size {preferred} is not a power of two between 512 and 33554432")
            }
            Self::PreferredBelowMin(size) => {
                write!(f, "preferred block size {} is below the minimum of {}", size.preferred, size.min)
            }
            Self::Max(BlockSize { min, preferred, max }) => write!(
                f,
                "maximum block size {max} is neither 4294967295 nor a multiple of {min} from {preferred} on"
            ),
        }
    }
}

impl core::error::Error for BlockSizeError {}

/// A meta context that was negotiated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// The number that stands for it in this session.
    pub id: u32,
    /// Its name, for instance `base:allocation`.
    pub name: String,
}

/// Why a string cannot be an export name (specification, "Conventions").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadName {
    TooLong(usize),
    Nul,
    NotUtf8,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(len) => write!(f, "export name of {len} bytes is longer than {MAX_STRING}"),
            Self::Nul => f.write_str("export name contains a NUL byte"),
            Self::NotUtf8 => f.write_str("export name is not valid UTF-8"),
        }
    }
}

pub(crate) fn check_name(bytes: &[u8]) -> Result<&str, BadName> {
    if bytes.len() > MAX_STRING {
        return Err(BadName::TooLong(bytes.len()));
    }
    if bytes.contains(&0) {
        return Err(BadName::Nul);
    }
    core::str::from_utf8(bytes).map_err(|_| BadName::NotUtf8)
}
