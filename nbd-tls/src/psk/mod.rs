// SPDX-License-Identifier: BSD-3-Clause
//! TLS with pre-shared keys: OpenSSL, because rustls has none. A build without it says so.

#[cfg(feature = "psk")]
mod connection;
#[cfg(feature = "psk")]
mod explain;
#[cfg(feature = "psk")]
mod halves;
#[cfg(feature = "psk")]
mod keys;
#[cfg(feature = "psk")]
pub(crate) use halves::{Client, Server};

#[cfg(not(feature = "psk"))]
mod without;
#[cfg(not(feature = "psk"))]
pub(crate) use without::{Client, Server};
