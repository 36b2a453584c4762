// SPDX-License-Identifier: BSD-3-Clause
//! Names and numbers.

use nbd_proto::BlockSize;
use nbd_proto::wire::{ChunkType, Cmd, CommandFlags as F, ErrorCode as E, Opt, Rep, TransmissionFlags};

#[test]
fn codes_have_names() {
    assert_eq!(Opt::GO.to_string(), "NBD_OPT_GO");
    assert_eq!(format!("{:?}", Opt(99)), "unknown NBD_OPT_99 (0x63)");
    assert_eq!(Rep::ERR_EXT_HEADER_REQD.to_string(), "NBD_REP_ERR_EXT_HEADER_REQD");
    assert_eq!(format!("{:>16}", E::EIO), "         NBD_EIO");
    assert!(Rep(0x8000_0099).is_error() && !Rep::ACK.is_error());
    assert!(ChunkType(0x8099).is_error() && !ChunkType::BLOCK_STATUS_EXT.is_error());
    assert_eq!(Opt::ALL.len(), 11);
    assert_eq!(Cmd::ALL.len(), 9);
}

#[test]
fn flags_have_names() {
    assert_eq!((F::FUA | F::DF).to_string(), "FUA|DF");
    assert_eq!(F(0x8001).to_string(), "FUA|0x8000");
    assert_eq!(F::NONE.to_string(), "0");
    assert_eq!(F(0x8000).to_string(), "0x8000");
    assert_eq!(TransmissionFlags::ALL.0, 0x1fff);
}

#[test]
fn errors_by_errno() {
    let table =
        [(0, E::SUCCESS), (1, E::EPERM), (30, E::EPERM), (5, E::EIO), (12, E::ENOMEM), (122, E::ENOSPC)];
    let more = [
        (27, E::ENOSPC),
        (28, E::ENOSPC),
        (108, E::ESHUTDOWN),
        (22, E::EINVAL),
        (2, E::EINVAL),
        (-1, E::EINVAL),
    ];
    for (errno, error) in table.into_iter().chain(more) {
        assert_eq!(E::from_errno(errno, F::NONE), error, "errno {errno}");
    }
    assert_eq!(E::from_errno(95, F::NONE), E::EINVAL);
    assert_eq!(E::from_errno(95, F::FAST_ZERO), E::ENOTSUP);
    assert_eq!(E::from_errno(75, F::FAST_ZERO), E::EINVAL);
    assert_eq!(E::from_errno(75, F::DF), E::EOVERFLOW);
    for error in E::ALL {
        assert_eq!(error.to_errno(), error.0 as i32, "the protocol took its numbers from Linux");
    }
    assert_eq!(E(9999).to_errno(), 22);
}

#[test]
fn block_sizes() {
    let why = |min, preferred, max| BlockSize { min, preferred, max }.check().unwrap_err().to_string();
    assert!(BlockSize { min: 1, preferred: 512, max: u32::MAX }.check().is_ok());
    assert!(BlockSize { min: 512, preferred: 4096, max: 512 * 100 }.check().is_ok());
    assert_eq!(why(0, 512, 512), "minimum block size 0 is not a power of two between 1 and 65536");
    assert_eq!(why(1, 511, 512), "preferred block size 511 is not a power of two between 512 and 33554432");
    assert_eq!(why(4096, 512, 4096), "preferred block size 512 is below the minimum of 4096");
    assert!(why(512, 512, 1000).starts_with("maximum block size 1000 is neither"));
}
