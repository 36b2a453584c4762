// SPDX-License-Identifier: BSD-3-Clause
//! How much of anything is taken from a peer.

/// Longest string in bytes: export names, descriptions, context names, error texts (specification,
/// "Conventions").
pub const MAX_STRING: usize = 4096;
/// Longest option or option reply payload in bytes that is waded through; a peer that announces more is
/// dropped.
pub const MAX_OPTION: u32 = 64 << 20;
/// Longest option or option reply payload in bytes that is ever stored.
pub const MAX_STORED: usize = 16 << 10;
/// Largest payload in bytes of a read or a write, unless configured otherwise.
pub const MAX_REQUEST_PAYLOAD: u32 = 64 << 20;
/// Longest payload in bytes of a refused request that is discarded; a client that announces more is dropped.
pub const MAX_DISCARD: u32 = 128 << 20;
/// Options a client may send before it selects an export; each listed export adds as many again.
pub const OPTION_BUDGET: u32 = 32;
/// Most extents in one block status chunk (specification, `NBD_REPLY_TYPE_BLOCK_STATUS`).
pub const MAX_EXTENTS: usize = 1 << 20;
