// SPDX-License-Identifier: BSD-3-Clause
//! TLS with real peers: libnbd, qemu and GnuTLS; and what nobody may get without it.
#![allow(clippy::unwrap_used, clippy::expect_used)]
