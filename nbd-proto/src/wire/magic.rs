// SPDX-License-Identifier: BSD-3-Clause
//! The magic numbers that open each kind of message.

/// First eight bytes of every server: ASCII `NBDMAGIC` (specification, "Oldstyle negotiation").
pub const NBDMAGIC: u64 = 0x4e42_444d_4147_4943;
/// Next eight bytes of a newstyle server, and the start of every option: ASCII `IHAVEOPT`.
pub const IHAVEOPT: u64 = 0x4948_4156_454f_5054;
/// Next eight bytes of an oldstyle server (`cliserv_magic`).
pub const OLDSTYLE: u64 = 0x0000_4202_8186_1253;
/// Start of every reply to an option ("Fixed newstyle negotiation").
pub const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
/// Start of a compact request ("Request message").
pub const REQUEST: u32 = 0x2560_9513;
/// Start of an extended request (`EXTENDED_HEADERS` extension).
pub const EXTENDED_REQUEST: u32 = 0x21e4_1c71;
/// Start of a simple reply ("Simple reply message").
pub const SIMPLE_REPLY: u32 = 0x6744_6698;
/// Start of a structured reply chunk ("Structured reply chunk message").
pub const STRUCTURED_REPLY: u32 = 0x668e_33ef;
/// Start of an extended reply chunk (`EXTENDED_HEADERS` extension).
pub const EXTENDED_REPLY: u32 = 0x6e8a_278c;
