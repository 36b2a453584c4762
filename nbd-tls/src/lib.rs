// SPDX-License-Identifier: BSD-3-Clause
//! TLS for an NBD byte stream, both halves: bytes in, bytes out.
#![forbid(unsafe_code)]
