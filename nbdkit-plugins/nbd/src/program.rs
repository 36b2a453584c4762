// SPDX-License-Identifier: BSD-3-Clause
//! A server that is started by us, and takes its socket as systemd hands it over (sd_listen_fds(3)).

use crate::endpoint::adopt;
use async_io::Async;
use nbdkit_plugin::{Error, Result};
use nbdkit_subprocess::{Companion, Invocation};
use socket2::{Domain, SockAddr, Socket, Type};
use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

/// `LISTEN_PID` must be the process id of the server, which is known to nobody before it runs: a shell keeps its id
/// when it becomes the server.
const BECOME: &str = "LISTEN_PID=$$ && export LISTEN_PID && exec \"$@\"";

/// The program that `command` means, looked for in `$PATH` if it has no slash. As the path is absolute, its name is
/// never taken for an option.
///
/// # Errors
/// `ENOENT` when there is none.
pub(crate) fn find(command: &OsStr) -> Result<PathBuf> {
    let missing = |error| Error::io(error, format!("command={}", command.display()));
    let absolute = |path: &Path| std::path::absolute(path).map_err(missing);
    if command.as_encoded_bytes().contains(&b'/') {
        return absolute(Path::new(command));
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let found = env::split_paths(&path).map(|directory| directory.join(command)).find(|path| path.is_file());
    match found {
        Some(found) if !command.is_empty() => absolute(&found),
        _ => Err(missing(io::ErrorKind::NotFound.into()).context("no such program in PATH")),
    }
}

/// Starts the server, and connects to it.
///
/// # Errors
/// The system's, when there is no room for a socket or a process. That the program itself cannot be run shows when it
/// is spoken to.
pub(crate) fn start(program: &Path, args: &[OsString]) -> Result<(Async<Socket>, Companion)> {
    let failed = |error| Error::io(error, "starting it");
    // Others on this machine must not connect; once we have, nobody needs the path.
    let directory = tempfile::Builder::new().prefix("nbdkit").tempdir_in("/tmp").map_err(failed)?;
    let address = SockAddr::unix(directory.path().join("socket")).map_err(failed)?;
    let new = || Socket::new(Domain::UNIX, Type::STREAM, None);
    let (listener, socket) = (new().map_err(failed)?, new().map_err(failed)?);
    listener.bind(&address).and_then(|()| listener.listen(1)).map_err(failed)?;
    socket.connect(&address).map_err(failed)?;
    let companion = Invocation::new("/bin/sh")
        .args(["-c", BECOME, "sh"])
        .arg(program)
        .args(args)
        .env("LISTEN_FDS", "1")
        .start(listener.into())
        .map_err(failed)?;
    // The listening socket is the program's alone now: if it ends, so does the connection.
    Ok((adopt(socket).map_err(failed)?, companion))
}
