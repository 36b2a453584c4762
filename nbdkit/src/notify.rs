// SPDX-License-Identifier: BSD-3-Clause
//! Telling a service manager that clients can connect (sd_notify(3)).

use std::{
    env,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// Says `READY=1` to whoever has asked for it by `NOTIFY_SOCKET`. If it has gone, there is nobody to complain to.
pub fn ready() {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&name),
    };
    let Ok(address) = address else { return };
    let _ = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(b"READY=1\n", &address));
}
