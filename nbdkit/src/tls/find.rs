// SPDX-License-Identifier: BSD-3-Clause
//! From the options to an [`Offer`]: finds certificates or keys, and decides whether there is TLS at all.

use super::{Detail, Named, Offer, root_directory};
use crate::cli::{Options, Tls};
use nbd_tls::{Acceptor, Directory, ErrorKind, Priority};
use nbdkit_plugin::{Error, Result};
use std::{
    env,
    path::{Path, PathBuf},
};

/// See [`Offer::make`].
pub(super) fn offer(options: &Options, mut warn: impl FnMut(&str)) -> Result<Option<Offer>> {
    let priority = match options.tls_priority.as_deref().map(str::parse::<Priority>) {
        Some(Err(error)) => return Err(Error::invalid(format!("--tls-priority: {error}"))),
        Some(Ok(priority)) => priority,
        None => Priority::default(),
    };
    if options.tls == Some(Tls::Off) {
        return Ok(None);
    }
    let (acceptor, named) = match &options.tls_psk {
        Some(file) => {
            // Absolute, because it is read again for each client, when the server has left this directory.
            let file = file.canonicalize().map_err(|error| Error::io(error, file.display().to_string()))?;
            let acceptor = Acceptor::psk(&file, &priority).map_err(|error| match error.kind() {
                ErrorKind::Unsupported => Error::invalid(format!("--tls-psk: {error}")),
                _ => unusable(error),
            })?;
            acceptor.warning().into_iter().for_each(warn);
            (acceptor, Named::Psk(file))
        }
        None => {
            let Some(directory) = certificates(options)? else {
                without(options, warn)?;
                return Ok(None);
            };
            directory.warnings().iter().for_each(|line| warn(line));
            let acceptor = Acceptor::certificates(&directory, options.tls_verify_peer, &priority);
            let named = options.tls_certificates.clone().map_or(Named::Nothing, Named::Certificates);
            (acceptor.map_err(unusable)?, named)
        }
    };
    let required = options.tls == Some(Tls::Require);
    Ok(Some(Offer { acceptor, required, named, detail: Detail::asked(options) }))
}

/// The first directory with certificates: the one that was named, or of those where they are looked for.
fn certificates(options: &Options) -> Result<Option<Directory>> {
    let named = options.tls_certificates.is_some();
    let strict = named || options.tls == Some(Tls::Require);
    for directory in options.tls_certificates.clone().map_or_else(usual, |directory| vec![directory]) {
        match Directory::load(&directory) {
            Ok(directory) => return Ok(Some(directory)),
            Err(error) => match error.kind() {
                ErrorKind::NotADirectory => {}
                // Certificates for somebody else, perhaps.
                ErrorKind::Unreadable if !strict => {}
                _ => return Err(unusable(error)),
            },
        }
    }
    Ok(None)
}

/// Where certificates are looked for.
fn usual() -> Vec<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return vec![root_directory().into()];
    }
    let Some(home) = env::var_os("HOME") else { return Vec::new() };
    [".pki/nbdkit", ".config/pki/nbdkit"].map(|directory| Path::new(&home).join(directory)).into()
}

/// There are no certificates.
fn without(options: &Options, mut warn: impl FnMut(&str)) -> Result<()> {
    const HINT: &str =
        "Name a directory with ca-cert.pem, server-cert.pem and server-key.pem by --tls-certificates.";
    let looked = match &options.tls_certificates {
        Some(directory) => format!("in {}", directory.display()),
        None => {
            let usual: Vec<String> = usual().iter().map(|path| path.display().to_string()).collect();
            format!("in {}", usual.join(" or "))
        }
    };
    let asked = [
        ("--tls=on", options.tls == Some(Tls::On)),
        ("--tls-certificates", options.tls_certificates.is_some()),
        ("--tls-verify-peer", options.tls_verify_peer),
    ];
    if options.tls == Some(Tls::Require) {
        return Err(Error::invalid(format!(
            "--tls=require but could not load TLS certificates: there are none {looked}\n{HINT}"
        )));
    }
    if let Some((option, _)) = asked.into_iter().find(|(_, asked)| *asked) {
        warn(&format!(
            "{option} but could not load TLS certificates: there are none {looked}; TLS will be disabled"
        ));
    }
    Ok(())
}

fn unusable(error: nbd_tls::Error) -> Error {
    Error::invalid(error.to_string())
}
