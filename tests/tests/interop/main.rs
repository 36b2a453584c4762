// SPDX-License-Identifier: BSD-3-Clause
//! The server among its peers: qemu, libnbd, nbd-client, fio, and the filesystems of the kernel.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod copies;
mod cow;
mod devices;
mod durability;
mod extended_headers;
mod file_plugin;
mod fio;
mod holes_on_wire;
mod libnbd;
mod nbd_client;
mod offset;
mod partition;
mod transports;
mod writes;
