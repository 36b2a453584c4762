// SPDX-License-Identifier: BSD-3-Clause
//! [`Remote`]: the server, and everything that makes a connection of its own to it.

use crate::{
    client::Client,
    endpoint::{Endpoint, adopt},
    negotiate::{Identity, negotiate},
    program,
    settings::{Settings, Trust},
    text::one_line,
    transport::Transport,
};
use async_io::Timer;
use futures_lite::FutureExt;
use nbd_proto::client::{Config, Event, Goal, Session, Tls};
use nbd_tls::{ClientCertificates, Connector, Priority};
use nbdkit_plugin::{EIO, ESHUTDOWN, Error, Export, Log, Result};
use nbdkit_subprocess::Companion;
use nix::unistd::{Uid, User};
use socket2::Socket;
use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// From the first packet to the end of the handshake. A server that takes one client at a time lets others wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between one attempt and the next.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest list of exports.
const MOST_EXPORTS: usize = 10_000;

/// The server, and how to get through to it.
pub(crate) struct Remote {
    pub settings: Settings,
    /// `None`: without TLS.
    connector: Option<Connector>,
    /// The socket of `socket-fd`, until it is used.
    inherited: Mutex<Option<Socket>>,
}

/// A server with which the handshake was done.
struct Reached<H> {
    transport: Transport,
    agreed: Option<(Session, Vec<u8>)>,
    heard: H,
    companion: Option<Companion>,
}

/// An export of the server in use, and the server if it was started for that.
pub(crate) struct Connected {
    pub client: Client,
    pub companion: Option<Companion>,
}

impl Remote {
    /// # Errors
    /// Certificates or keys that cannot be used.
    pub(crate) fn new(settings: Settings, inherited: Option<Socket>) -> Result<Remote> {
        let connector = match settings.tls {
            Tls::Off => None,
            Tls::Preferred | Tls::Required => Some(connector(&settings.trust)?),
        };
        Ok(Remote { settings, connector, inherited: Mutex::new(inherited) })
    }

    /// What the operator should know.
    pub(crate) fn warnings(&self) -> &[String] {
        self.connector.as_ref().map_or(&[], Connector::warnings)
    }

    /// Opens `export`, trying again as often as `retry` says, until `leave` resolves.
    pub(crate) async fn open(
        &self,
        export: &str,
        log: &Log,
        leave: impl Future<Output = ()>,
    ) -> Result<Connected> {
        let config = Config::new(export).context("base:allocation");
        let use_it = async {
            let reached = self.reach(config, log, |(), _| Ok(())).await?;
            let (session, early) =
                reached.agreed.ok_or_else(|| Error::new(EIO, "the handshake ended without an export"))?;
            log.debug(format_args!(
                "{}: {} bytes, {}, {}{}",
                self.settings.endpoint,
                session.size(),
                session.mode(),
                session.flags(),
                if session.is_tls() { ", encrypted" } else { "" }
            ));
            let client = Client::new(reached.transport, session, &early);
            Ok(Connected { client, companion: reached.companion })
        };
        unless(leave, use_it).await
    }

    /// What the server has to offer.
    pub(crate) async fn list(&self, log: &Log, leave: impl Future<Output = ()>) -> Result<Vec<Export>> {
        let note = |exports: &mut Vec<Export>, event| {
            let Event::Export { name, description } = event else { return Ok(()) };
            if exports.len() == MOST_EXPORTS {
                return Err(Error::new(EIO, format!("server lists more than {MOST_EXPORTS} exports")));
            }
            let description = (!description.is_empty()).then_some(description);
            exports.push(Export { name, description });
            Ok(())
        };
        Ok(unless(leave, self.reach(Config::new("").goal(Goal::List), log, note)).await?.heard)
    }

    /// What the server calls its default export; `None` if it does not say.
    pub(crate) async fn default_export(
        &self,
        log: &Log,
        leave: impl Future<Output = ()>,
    ) -> Result<Option<String>> {
        let note = |name: &mut Option<String>, event| {
            if let Event::Info(info) = event {
                *name = info.name;
            }
            Ok(())
        };
        Ok(unless(leave, self.reach(Config::new("").goal(Goal::Info), log, note)).await?.heard)
    }

    /// Connects and shakes hands, again and again.
    async fn reach<H: Default>(
        &self,
        config: Config,
        log: &Log,
        note: impl Fn(&mut H, Event) -> Result<()>,
    ) -> Result<Reached<H>> {
        let mut left = self.settings.retry;
        loop {
            let late = async {
                Timer::after(PATIENCE).await;
                Err(Error::new(EIO, format!("no answer within {} s", PATIENCE.as_secs())))
            };
            let result = self.attempt(config.clone(), log, &note).or(late).await;
            match result.map_err(|why| why.context(self.settings.endpoint.to_string())) {
                Ok(reached) => return Ok(reached),
                Err(error) if left == 0 => return Err(error),
                Err(error) => log.debug(format_args!("{error}: trying {left} times more")),
            }
            left -= 1;
            Timer::after(PAUSE).await;
        }
    }

    async fn attempt<H: Default>(
        &self,
        config: Config,
        log: &Log,
        note: impl Fn(&mut H, Event) -> Result<()>,
    ) -> Result<Reached<H>> {
        let (socket, companion) = match &self.settings.endpoint {
            Endpoint::Command { program, args } => {
                let (socket, companion) = program::start(program, args)?;
                (socket, Some(companion))
            }
            Endpoint::SocketFd(_) => {
                let socket = self.inherited.lock().unwrap_or_else(PoisonError::into_inner).take();
                let socket = socket.ok_or_else(|| Error::new(ESHUTDOWN, "already used"))?;
                (adopt(socket)?, None)
            }
            address => (address.connect().await?, None),
        };
        let mut transport = Transport::new(socket);
        let identity =
            self.connector.as_ref().map(|connector| Identity { connector, server: self.server_name() });
        let config = config.tls(self.settings.tls);
        let mut heard = H::default();
        let note = |event| {
            if let Event::Refused { option, reply, text } = &event {
                log.debug(format_args!("server refused {option} with {reply} {}", one_line(text)));
            }
            note(&mut heard, event)
        };
        let agreed = negotiate(&mut transport, config, identity.as_ref(), note).await?;
        Ok(Reached { transport, agreed, heard, companion })
    }

    fn server_name(&self) -> &str {
        match &self.settings.trust {
            Trust::Certificates { server, .. } => server,
            Trust::Psk { .. } => "localhost",
        }
    }
}

fn connector(trust: &Trust) -> Result<Connector> {
    let priority = Priority::default();
    match trust {
        Trust::Certificates { directory, verify, .. } => {
            let certificates = ClientCertificates { directory: directory.as_deref(), verify: *verify };
            Connector::certificates(certificates, &priority)
        }
        Trust::Psk { file, username } => {
            let own = || User::from_uid(Uid::current()).ok().flatten().map(|user| user.name);
            let username = username.clone().or_else(own).ok_or_else(|| {
                Error::invalid(
                    "this user has no name: say with tls-username under which name tls-psk has the key",
                )
            })?;
            Connector::psk(&username, file, &priority)
        }
    }
    .map_err(|why| Error::invalid(why.to_string()))
}

async fn unless<T>(leave: impl Future<Output = ()>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let left = async {
        leave.await;
        Err(Error::new(ESHUTDOWN, "the connection to the server is not needed any more"))
    };
    left.or(work).await
}
