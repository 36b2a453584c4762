// SPDX-License-Identifier: BSD-3-Clause
//! The handshake with the server, over a socket.

use crate::{text::one_line, transport::Transport};
use nbd_proto::{
    client::{Config, Event, Failure, Handshake, Session, Step},
    wire::{Opt, Rep},
};
use nbd_tls::Connector;
use nbdkit_plugin::{EACCES, EIO, ENOENT, EOPNOTSUPP, ESHUTDOWN, Error, Result};

/// Whom to expect behind TLS.
pub(crate) struct Identity<'a> {
    pub connector: &'a Connector,
    /// The name that its certificate must have.
    pub server: &'a str,
}

/// Reaches the goal of `config`, and tells `note` what the server says on the way. For goals that use an export: the
/// session, and what has come of its replies already.
///
/// # Errors
/// The system's; that the server refuses or talks nonsense; that TLS was required or begun, and failed.
pub(crate) async fn negotiate(
    transport: &mut Transport,
    config: Config,
    identity: Option<&Identity<'_>>,
    mut note: impl FnMut(Event) -> Result<()>,
) -> Result<Option<(Session, Vec<u8>)>> {
    let mut handshake = Handshake::new(config);
    let mut buf = [0; 4096];
    let (mut start, mut end) = (0, 0);
    loop {
        match handshake.step() {
            Step::NeedInput if start < end => start += handshake.feed(&buf[start..end]),
            Step::NeedInput => match transport.read(&mut buf).await.map_err(|why| Error::io(why, "read"))? {
                0 => handshake.eof(),
                count => (start, end) = (0, count),
            },
            Step::Send => {
                // A server that has gone may have said why: that is still to be read, or then the end of it all.
                let _ = transport.write_all(handshake.output()).await;
                drop(handshake.take_output());
            }
            Step::StartTls => {
                // Only a configuration that wants TLS gets here, and it comes with an identity.
                let Some(Identity { connector, server }) = identity else {
                    return Err(Error::new(EIO, "TLS was not asked for"));
                };
                let engine = connector.connect(server).map_err(|why| Error::invalid(why.to_string()))?;
                // What came in plain behind the last message belongs to TLS: nobody slips in what is taken for encrypted.
                let started = transport.start_tls(engine, &buf[start..end]).await;
                started.map_err(|why| Error::io(why, "TLS handshake"))?;
                (start, end) = (0, 0);
                handshake.tls_started();
            }
            Step::Event(event) => note(event)?,
            Step::Done(session) => return Ok(Some((session, buf[start..end].to_vec()))),
            Step::Finished => return Ok(None),
            Step::Failed(why) => return Err(failed(&why)),
        }
    }
}

fn failed(why: &Failure) -> Error {
    let errno = match why {
        Failure::Refused { reply: Rep::ERR_UNKNOWN, .. } | Failure::NoSuchExport => ENOENT,
        Failure::Refused { reply: Rep::ERR_POLICY | Rep::ERR_TLS_REQD, .. } => EACCES,
        Failure::Refused { reply: Rep::ERR_UNSUP | Rep::ERR_PLATFORM, .. } | Failure::NoOptions => EOPNOTSUPP,
        Failure::Refused { reply: Rep::ERR_SHUTDOWN, .. } | Failure::Eof => ESHUTDOWN,
        _ => EIO,
    };
    // It repeats what the server said.
    let text = one_line(&why.to_string());
    match why {
        Failure::Refused { reply: Rep::ERR_TLS_REQD, .. } => {
            Error::new(errno, format!("{text} (tls=require encrypts)"))
        }
        Failure::Refused { option: Opt::STARTTLS, .. } => {
            Error::new(errno, format!("{text} (but tls=require)"))
        }
        _ => Error::new(errno, text),
    }
}
