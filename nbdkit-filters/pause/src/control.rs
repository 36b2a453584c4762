// SPDX-License-Identifier: BSD-3-Clause
//! [`Control`]: the socket over which commands come, one byte each, and so do the answers.

use crate::valve::Valve;
use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use nbdkit_filter::{Arc, Error, Log, Result, Server};
use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};
use std::{
    fs, io,
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

pub(crate) struct Control {
    listener: Async<UnixListener>,
    path: PathBuf,
    valve: Arc<Valve>,
}

/// Whether a socket can have this path.
///
/// # Errors
/// When it is too long.
pub(crate) fn check(path: &Path) -> Result<()> {
    SockAddr::unix(path).map(drop).map_err(|error| {
        let len = path.as_os_str().len();
        Error::io(
            error,
            format!("pause-control socket path too long: {}: length {len} > max 107 bytes", path.display()),
        )
    })
}

impl Control {
    pub(crate) fn listen(path: &Path, valve: Arc<Valve>) -> Result<Control> {
        let listen = || {
            // What an earlier nbdkit left behind. Anything but a socket is somebody's file.
            if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                fs::remove_file(path)?;
            }
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // Before there is a path: nobody else can connect for a moment.
            rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
            socket.bind(&SockAddr::unix(path)?)?;
            socket.listen(16)?;
            Async::new(UnixListener::from(socket))
        };
        let listener =
            listen().map_err(|error| Error::io(error, format!("pause-control: {}", path.display())))?;
        Ok(Control { listener, path: path.to_owned(), valve })
    }

    /// Serves those who connect, side by side, until the server stops. Then the socket goes.
    pub(crate) async fn serve(self, server: Server) {
        let accept = async {
            loop {
                match self.listener.accept().await {
                    Ok((client, _)) => self.welcome(client, &server),
                    // Out of descriptors, perhaps. They wait in the queue.
                    Err(error) => {
                        server.log().named("pause").error(format_args!("accept: {error}"));
                        Timer::after(Duration::from_secs(1)).await;
                    }
                }
            }
        };
        server.stopped().or(accept).await;
        // Somebody else may have been quicker.
        let _ = fs::remove_file(&self.path);
    }

    fn welcome(&self, client: Async<UnixStream>, server: &Server) {
        let (valve, log, stopping) = (self.valve.clone(), server.log().named("pause"), server.clone());
        drop(server.spawn(async move {
            let listen = async {
                // Somebody who hangs up in the middle has heard enough.
                let _ = obey(client, &valve, &log).await;
            };
            stopping.stopped().or(listen).await;
        }));
    }
}

/// Does what the client says, one byte after the other.
async fn obey(mut client: Async<UnixStream>, valve: &Valve, log: &Log) -> io::Result<()> {
    let mut command = [0];
    while client.read(&mut command).await? > 0 {
        let answer = match command {
            // `echo p` sends a line.
            [b' ' | b'\t' | b'\r' | b'\n'] => continue,
            [b'p'] => {
                log.debug(format_args!("pausing, waiting for requests to complete"));
                match valve.close().await {
                    true => b'P',
                    // Another client has said otherwise before it came to that.
                    false => b'X',
                }
            }
            [b'r'] => {
                valve.open();
                b'R'
            }
            _ => b'X',
        };
        match answer {
            b'P' => log.debug(format_args!("paused")),
            b'R' => log.debug(format_args!("resumed")),
            _ => {}
        }
        client.write_all(&[answer]).await?;
    }
    Ok(())
}
