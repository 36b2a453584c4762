// SPDX-License-Identifier: BSD-3-Clause
//! TLS with real peers: libnbd, qemu, GnuTLS and OpenSSL; and what nobody may get without it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod breaking_off;
mod client;
mod credentials;
mod door;
mod embedded;
mod fallback;
mod finding;
mod keys;
mod libraries;
mod memory;
mod names;
mod new_keys;
mod peers;
mod plain_text;
mod refusals;
mod secrets;
mod transmission;
mod wire;
