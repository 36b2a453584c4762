// SPDX-License-Identifier: BSD-3-Clause
//! Between the `errno` of Linux and the errors of the protocol.

use super::{CommandFlags, ErrorCode};

const EPERM: i32 = 1;
const EIO: i32 = 5;
const ENOMEM: i32 = 12;
const EINVAL: i32 = 22;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EOVERFLOW: i32 = 75;
const EOPNOTSUPP: i32 = 95;
const ESHUTDOWN: i32 = 108;
const EDQUOT: i32 = 122;

impl ErrorCode {
    /// The error to send for `errno` (numbers of Linux, on every platform) in reply to a request with
    /// `flags`.
    ///
    /// Two errors may only answer the flag that provokes them (specification, "Error values"): `EOPNOTSUPP`
    /// needs [`CommandFlags::FAST_ZERO`], `EOVERFLOW` needs [`CommandFlags::DF`]. They, and all that the
    /// protocol has no word for, become [`ErrorCode::EINVAL`]. 0 stays [`ErrorCode::SUCCESS`].
    #[must_use]
    pub const fn from_errno(errno: i32, flags: CommandFlags) -> Self {
        match errno {
            0 => Self::SUCCESS,
            EPERM | EROFS => Self::EPERM,
            EIO => Self::EIO,
            ENOMEM => Self::ENOMEM,
            EFBIG | ENOSPC | EDQUOT => Self::ENOSPC,
            ESHUTDOWN => Self::ESHUTDOWN,
            EOPNOTSUPP if flags.contains(CommandFlags::FAST_ZERO) => Self::ENOTSUP,
            EOVERFLOW if flags.contains(CommandFlags::DF) => Self::EOVERFLOW,
            _ => Self::EINVAL,
        }
    }

    /// The `errno` of Linux that a client should make of this; values the protocol does not define
    /// count as `EINVAL` (specification, "Error values").
    #[must_use]
    pub const fn to_errno(self) -> i32 {
        match self {
            Self::SUCCESS => 0,
            Self::EPERM => EPERM,
            Self::EIO => EIO,
            Self::ENOMEM => ENOMEM,
            Self::ENOSPC => ENOSPC,
            Self::EOVERFLOW => EOVERFLOW,
            Self::ENOTSUP => EOPNOTSUPP,
            Self::ESHUTDOWN => ESHUTDOWN,
            _ => EINVAL,
        }
    }
}
