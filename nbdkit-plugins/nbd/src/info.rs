// SPDX-License-Identifier: BSD-3-Clause
//! What the server says of its export, in the words of a disk.

use nbd_proto::{client::Session, wire::TransmissionFlags as F};
use nbdkit_plugin::{BlockSize, EOVERFLOW, Error, Info, Result, Support};

/// The largest payload in bytes that every server takes (specification, "Size constraints").
const PORTABLE: u32 = 32 << 20;

/// What the export is and can do. `shared` if its connection serves all clients.
///
/// # Errors
/// `EOVERFLOW` for a size that no disk has.
pub(crate) fn info(session: &Session, shared: bool) -> Result<Info> {
    let (export, flags) = (session.export(), session.flags());
    let can = |flag| flags.contains(flag);
    let native = |flag| if can(flag) { Support::Native } else { Support::None };
    if i64::try_from(export.size).is_err() {
        let size = export.size;
        return Err(Error::new(EOVERFLOW, format!("server's export has {size} bytes, more than 2^63 - 1")));
    }
    let mut info = Info::read_only(export.size);
    info.block = export.block_size.map(|size| BlockSize {
        minimum: size.min,
        preferred: size.preferred,
        maximum: size.max,
    });
    info.description = export.description.as_deref().filter(|text| !text.is_empty()).map(Into::into);
    info.write = !can(F::READ_ONLY);
    info.flush = can(F::SEND_FLUSH);
    info.trim = can(F::SEND_TRIM);
    info.fast_zero = can(F::SEND_FAST_ZERO) && can(F::SEND_WRITE_ZEROES);
    info.rotational = can(F::ROTATIONAL);
    // One connection sees its own writes, and its flush covers them all.
    info.multi_conn = can(F::CAN_MULTI_CONN) || shared;
    info.extents = !session.contexts().is_empty();
    info.zero = if can(F::SEND_WRITE_ZEROES) { Support::Native } else { Support::Emulate };
    info.fua = native(F::SEND_FUA);
    info.cache = native(F::SEND_CACHE);
    if !info.write {
        info.without_writing();
    }
    Ok(info)
}

/// The largest read or write in bytes that is asked of the server at once.
pub(crate) fn largest_payload(session: &Session) -> u32 {
    // A maximum is a multiple of the minimum, of which this is one too.
    session.export().block_size.map_or(PORTABLE, |size| size.max.min(PORTABLE))
}
