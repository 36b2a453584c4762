// SPDX-License-Identifier: BSD-3-Clause
//! What can be said on the command line.

use nbd_proto::client::Tls;
use nbdkit_plugin::{Value, params, values::text};
use std::{
    ffi::{OsStr, OsString},
    os::fd::RawFd,
    path::PathBuf,
};

params! {
    pub(crate) struct Params {
        /// Where the server is: nbd://HOST:PORT/EXPORT, nbd+unix:///EXPORT?socket=PATH or nbd+vsock://CID:PORT/EXPORT;
        /// with nbds it must encrypt.
        [magic] "uri" => uri: Option<String>,
        /// Unix domain socket of the server.
        "socket" => socket: Option<PathBuf>,
        /// Host of the server: a name or an address.
        "hostname" => hostname: Option<String>,
        /// Port of the server on TCP or vsock, as a number or, on TCP, the name of a service; 10809 unless given.
        "port" => port: Option<String>,
        /// Context id of the machine that the server is on.
        "vsock" => vsock: Option<u32>,
        /// Program to start as the server; it must take its socket as systemd hands it over.
        "command" => command: Option<OsString>,
        /// Argument of that program.
        "arg" => args: Vec<OsString>,
        /// Number of an inherited file descriptor which is connected to the server.
        "socket-fd" => socket_fd: Option<Fd>,
        /// Name of the server's export.
        "export" => export: Option<String>,
        /// Clients get the server's export of the name they ask for.
        "dynamic-export" => dynamic_export: bool = false,
        /// How often a connection is tried again, a second apart.
        "retry" => retry: u32 = 0,
        /// One connection to the server for all clients: the default with command and socket-fd.
        "shared" => shared: Option<bool>,
        /// Whether to encrypt: on does if the server can, require does or fails. Off unless another tls parameter is given.
        "tls" => tls: Option<TlsMode>,
        /// Directory with ca-cert.pem, and client-cert.pem and client-key.pem if the server wants to see them.
        "tls-certificates" => tls_certificates: Option<PathBuf>,
        /// Whether the server's certificate must be good and its own.
        "tls-verify" => tls_verify: Option<bool>,
        /// Name under which tls-psk has the key; the user's own unless given.
        "tls-username" => tls_username: Option<String>,
        /// File with lines USERNAME:KEY, to encrypt with a key that both sides know.
        "tls-psk" => tls_psk: Option<PathBuf>,
    }
}

/// Whether to encrypt.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct TlsMode(pub Tls);

impl Value for TlsMode {
    const KIND: &'static str = "off|on|require";

    fn parse(value: &OsStr) -> Result<Self, String> {
        if value == "require" {
            return Ok(TlsMode(Tls::Required));
        }
        match bool::parse(value) {
            Ok(true) => Ok(TlsMode(Tls::Preferred)),
            Ok(false) => Ok(TlsMode(Tls::Off)),
            Err(_) => {
                let value = value.to_string_lossy();
                Err(format!("could not decipher boolean ({value}), should be off, on or require"))
            }
        }
    }

    fn show(&self) -> String {
        match self.0 {
            Tls::Off => "off",
            Tls::Preferred => "on",
            Tls::Required => "require",
        }
        .to_owned()
    }
}

/// The number of an inherited file descriptor.
#[derive(Clone, Copy)]
pub(crate) struct Fd(pub RawFd);

impl Value for Fd {
    const KIND: &'static str = "FD";

    fn parse(value: &OsStr) -> Result<Self, String> {
        match text(value)?.parse() {
            Ok(number) if number > 2 => Ok(Fd(number)),
            Ok(0..) => Err(format!(
                "{} is standard input, output or error of this program, should be 3 or more",
                value.display()
            )),
            Ok(_) => Err("socket-fd must be >= 0".to_owned()),
            Err(_) => Err(format!("{} is not a file descriptor, should be a number from 3", value.display())),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}
