// SPDX-License-Identifier: BSD-3-Clause
//! From the command line to the end: configure, get ready, bind, run the captive command, leave the terminal, serve.
//!
//! The fork line: everything above [`Bound::serve`] happens in one thread, and no thread is started before it.

use crate::{
    activation, captive,
    cli::{self, DebugFlag, Options, Task, UnixSocket, dump, help, names::Catalogue, options, uri, version},
    components::{Components, stand_down},
    connection::Service,
    listen::{Listener, Listeners, TemporaryDirectory},
    log::Sink,
    notify,
    origin::Origin,
    privileges,
    process::{self, Side},
    security_label,
    serve::{self, Clients, Signals},
    tls::{self, Named, Offer},
    trace::Detail,
    wire::Wire,
};
use async_executor::Executor;
use nbd_proto::{
    server::{Config, Style},
    wire::HandshakeFlags,
};
use nbdkit_plugin::{Error, Log, LogSink, Result, Server, Taken};
use nbdkit_spin::Bustle;
use nix::{
    sys::{
        mman::{MlockAllFlags, mlockall},
        signal::{Signal, kill},
        stat::{Mode, umask},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use std::{
    ffi::OsString,
    io::Write,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus},
    sync::Arc,
};

/// Runs the program and says how it ends.
pub fn run(args: impl IntoIterator<Item = OsString>, catalogue: Catalogue) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(error) => return complain(None, &error),
    };
    // Whoever starts us: what we make can be read by all, and changed by us.
    umask(Mode::from_bits_truncate(0o022));
    let sink = match Sink::new(options.verbose, options.name.as_deref(), &options.log) {
        Ok(sink) => Arc::new(sink),
        Err(error) => return complain(None, &error),
    };
    match act(&options, &sink, catalogue) {
        Ok(code) => ExitCode::from(code),
        Err(error) => complain(Some(&sink), &error),
    }
}

/// The first line is the error, others help.
fn complain(sink: Option<&Arc<Sink>>, error: &Error) -> ExitCode {
    let text = error.to_string();
    let (first, help) = text.split_once('\n').unwrap_or((&text, ""));
    match sink {
        Some(sink) => sink.error("", format_args!("{first}")),
        None => eprintln!("nbdkit: error: {first}"),
    }
    if !help.is_empty() {
        eprintln!("{help}");
    }
    ExitCode::FAILURE
}

fn act(options: &Options, sink: &Arc<Sink>, catalogue: Catalogue) -> Result<u8> {
    let program = std::env::current_exe().unwrap_or_default();
    let task = options.task();
    match task {
        Task::DumpConfig => return say(&dump::dump_config(&program, &ABILITIES)),
        Task::ShortOptions => return say(&lines(&options::short())),
        Task::LongOptions => return say(&lines(&options::long())),
        Task::Help | Task::Version if options.plugin.is_some() => {}
        Task::Help => return say(&help::help(catalogue)),
        Task::Version => return say(&version::version(None)),
        Task::DumpPlugin | Task::Serve => {}
    }
    let announced = activation::announced()?;
    cli::check(options, announced.is_some())?;
    let offer = match task {
        Task::Serve => Offer::make(options, |line| eprintln!("nbdkit: warning: {line}"))?,
        _ => None,
    };
    let inherited = announced.map(activation::inherited).transpose()?;
    let plugin = options.plugin.as_deref().ok_or_else(|| no_plugin(task))?;
    let log = Log::new(sink.clone());
    log.debug(format_args!("{}", version::version(None).trim_end()));
    let mut components = Components::find(catalogue, plugin, &options.filters, log)?;
    components.startup(!options.single);
    components.detail = debug_flags(options, sink, &mut components)?;
    match task {
        Task::Help => return say(&help::help_of(&mut components)),
        Task::Version => return say(&version::version(Some(&components))),
        _ => components.configure(&options.parameters)?,
    }
    if task == Task::DumpPlugin {
        return say(&dump::dump_plugin(&mut components, &program));
    }
    components.complete()?;
    components.get_ready()?;
    if components.is_over() {
        return Ok(0);
    }
    Bound::bind(options, sink.clone(), components, offer, inherited)?.go()
}

/// What this program can do besides serving.
const ABILITIES: dump::Abilities = dump::Abilities {
    exit_with_parent: true,
    selinux: true,
    timeout: true,
    tls: cfg!(feature = "tls"),
    vsock: true,
    zstd: cfg!(feature = "zstd"),
};

fn no_plugin(task: Task) -> Error {
    Error::invalid(match task {
        Task::DumpPlugin => {
            "--dump-plugin needs the name of a plugin\nUse 'nbdkit --dump-plugin PLUGIN', or 'nbdkit --dump-config' for the server itself."
        }
        _ => {
            "no plugins given on the command line.\nUse 'nbdkit --help' for help, or try 'nbdkit memory 1G'."
        }
    })
}

/// `-D`: those of the server and those of components. One that nobody knows is worth a warning, no more.
fn debug_flags(options: &Options, sink: &Sink, components: &mut Components) -> Result<Detail> {
    let mut detail = Detail::default();
    for DebugFlag { component, flag, value } in &options.debug {
        match (component.as_str(), flag.replace('_', ".").as_str()) {
            ("nbdkit", "backend.controlpath") => detail.control = *value != 0,
            ("nbdkit", "backend.datapath") => detail.data = *value != 0,
            ("nbdkit", "environ") if *value != 0 && sink.verbose() => {
                for (name, value) in std::env::vars_os() {
                    sink.debug("", format_args!("environ: {}={}", name.display(), value.display()));
                }
            }
            // The offer of TLS knows them.
            ("nbdkit", "environ" | "tls.log" | "tls.session") => {}
            _ => {
                if components.debug(component, flag, *value)? == Taken::No {
                    eprintln!("nbdkit: warning: debug flag -D {component}.{flag} was not used");
                }
            }
        }
    }
    Ok(detail)
}

fn lines(words: &[String]) -> String {
    words.iter().map(|word| format!("{word}\n")).collect()
}

fn say(text: &str) -> Result<u8> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // `nbdkit --help | head` is no error.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io(error, "standard output"))
        }
        _ => Ok(0),
    }
}

/// Where clients will come from.
enum Place {
    Sockets(Vec<Listener>),
    /// `-s`
    Stdio,
}

/// Configured, ready, and reachable; still one thread and in sight of the user.
struct Bound<'o> {
    options: &'o Options,
    sink: Arc<Sink>,
    components: Components,
    offer: Option<Offer>,
    place: Place,
    directory: Option<TemporaryDirectory>,
    uri: Option<String>,
    port: Option<u32>,
    unixsocket: Option<PathBuf>,
    /// The sockets came from outside.
    activated: bool,
}

/// The sockets, and the path of the one that has one.
fn listen(options: &Options, inherited: Option<Vec<Listener>>) -> Result<(Listeners, Option<PathBuf>)> {
    if let Some(sockets) = inherited {
        return Ok((Listeners::of(sockets), None));
    }
    Ok(match &options.unix {
        _ if options.single => (Listeners::of(Vec::new()), None),
        Some(UnixSocket::Path(path)) => (Listeners::unix(path)?, Some(path.clone())),
        Some(UnixSocket::Private) => {
            let (listeners, path) = Listeners::temporary()?;
            (listeners, Some(path))
        }
        None if options.vsock => (Listeners::vsock(options.port.as_deref())?, None),
        None => (Listeners::tcp(options)?, None),
    })
}

impl<'o> Bound<'o> {
    fn bind(
        options: &'o Options,
        sink: Arc<Sink>,
        components: Components,
        offer: Option<Offer>,
        inherited: Option<Vec<Listener>>,
    ) -> Result<Bound<'o>> {
        if options.swap {
            let all = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE;
            mlockall(all).map_err(|errno| Error::io(errno.into(), "--swap: mlockall"))?;
        }
        let activated = inherited.is_some();
        let (listeners, unixsocket) =
            security_label::labelled(options.selinux_label.as_deref(), || listen(options, inherited))?;
        let Listeners { sockets, port, directory } = listeners;
        let place = if options.single { Place::Stdio } else { Place::Sockets(sockets) };
        let mut bound = Bound {
            options,
            sink,
            components,
            offer,
            place,
            directory,
            uri: None,
            port,
            unixsocket,
            activated,
        };
        bound.uri = bound.find_uri();
        bound.tell();
        Ok(bound)
    }

    /// Under `-v`: where clients can find us.
    fn tell(&self) {
        let log = Log::new(self.sink.clone());
        match (&self.place, &self.unixsocket, self.port) {
            (Place::Stdio, ..) => {}
            (_, Some(path), _) => log.debug(format_args!("bound to unix socket {}", path.display())),
            (Place::Sockets(sockets), None, Some(port)) => {
                let host = self.options.ipaddr.as_deref().unwrap_or("<any>");
                let host = if self.options.vsock { "vsock" } else { host };
                let count = sockets.len();
                log.debug(format_args!("bound to {host}:{port} ({count} socket(s))"));
            }
            (Place::Sockets(sockets), None, None) => {
                log.debug(format_args!("using {} socket(s) from outside", sockets.len()));
            }
        }
    }

    /// How a client on this host finds us. With `-s` it cannot; with socket activation we do not know.
    fn find_uri(&self) -> Option<String> {
        let port = self.options.port.as_ref().and(self.port).map(|port| port.to_string());
        let place = match &self.unixsocket {
            _ if self.activated || self.options.single => return None,
            Some(path) => uri::Place::Unix(path),
            None if self.options.vsock => uri::Place::Vsock(port.as_deref()),
            None => uri::Place::Tcp(port.as_deref()),
        };
        let tls = self.offer.as_ref().and_then(Offer::credentials);
        Some(uri::uri(&uri::Uri { place, export: &self.options.exportname, tls }))
    }

    /// On to the end; what returns is how the process ends. However it does, of its directory nothing is left.
    fn go(mut self) -> Result<u8> {
        let directory = self.directory.take();
        let ended = self.live();
        if let Some(directory) = directory {
            directory.remove();
        }
        ended
    }

    fn live(mut self) -> Result<u8> {
        if let (true, Some(uri)) = (self.options.print_uri, &self.uri) {
            say(&uri::printed(uri))?;
        }
        if self.options.run.is_some() {
            return self.captive();
        }
        self.settle()?;
        self.serve().map(|()| 0)
    }

    /// `--run`: the parent runs the command, so that its exit code is that of nbdkit; the child serves.
    fn captive(mut self) -> Result<u8> {
        match process::split()? {
            Side::Child => {
                self.settle()?;
                self.serve().map(|()| 0)
            }
            Side::Parent(server) => {
                let command = self.options.run.clone().unwrap_or_default();
                let port = self.options.port.as_ref().and(self.port).map(|port| port.to_string());
                let (tls_certificates, tls_psk) = match self.offer.as_ref().map(|offer| &offer.named) {
                    Some(Named::Certificates(directory)) => (Some(&**directory), None),
                    Some(Named::Psk(file)) => (None, Some(&**file)),
                    Some(Named::Nothing) | None => (None, None),
                };
                let script = captive::script(
                    &captive::Variables {
                        uri: self.uri.as_deref().unwrap_or_default(),
                        exportname: &self.options.exportname,
                        port: port.as_deref().unwrap_or_default(),
                        unixsocket: self.unixsocket.as_deref(),
                        tls: self.offer.as_ref().map(Offer::number),
                        tls_certificates,
                        tls_psk,
                    },
                    &command,
                );
                // Our copies of the sockets would keep clients waiting if the server died.
                self.place = Place::Sockets(Vec::new());
                let status = captive::run(&script);
                let server = end(server);
                let outcome = captive::outcome(status?, server);
                for message in outcome.messages {
                    self.sink.error("", format_args!("{message}"));
                }
                Ok(outcome.code)
            }
        }
    }

    /// Becomes who and what it will be: another user, in the background, with a pid file.
    fn settle(&mut self) -> Result<()> {
        let options = self.options;
        privileges::become_other(options.user.as_deref(), options.group.as_deref())?;
        // Not earlier: a process that becomes another user loses it.
        if options.exit_with_parent {
            let failed = |errno: nix::Error| Error::io(errno.into(), "--exit-with-parent");
            nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).map_err(failed)?;
        }
        if !(options.foreground || self.activated) {
            process::daemonize(options.verbose)?;
            self.sink.detach();
            let id = std::process::id();
            Log::new(self.sink.clone()).debug(format_args!("forked into background (new pid = {id})"));
        }
        if let Some(path) = &options.pidfile {
            write_pid(path)?;
        }
        serve::hold_signals()
    }

    /// Starts threads and serves to the end.
    fn serve(mut self) -> Result<()> {
        let clients = self.clients()?;
        let executor = Arc::new(Executor::new());
        let options = self.options;
        let server = Server::new(executor.clone(), self.sink.clone()).with_read_only(options.readonly);
        let (components, offer) = (self.components, self.offer);
        let plugin = components.entry().name;
        serve::run(&executor, async {
            let chain = components.after_fork(&server).await?;
            let service = Arc::new(Service {
                server: server.clone(),
                chain: chain.clone(),
                plugin,
                config: config(options).tls(offer.as_ref().map_or(tls::REFUSAL, Offer::policy)),
                tls: offer,
                read_only: options.readonly,
                threads: options.threads as usize,
                timeout: options.timeout,
                bustle: Bustle::default(),
            });
            let clients = clients.start(options.keepalive);
            let (clients, signals) = match clients.and_then(|clients| Ok((clients, Signals::new()?))) {
                Ok(both) => both,
                Err(error) => {
                    // That they cannot serve says more than what goes wrong now.
                    let _ = stand_down(&chain, &server).await;
                    return Err(error);
                }
            };
            notify::ready();
            let served = serve::serve(service, clients, async || signals.next().await).await;
            match served {
                // Requests are still in flight: their disks cannot be cleaned up under them.
                Err(error) if error.errno() == libc::EINTR => Err(error),
                served => served.and(chain.cleanup().await),
            }
        })
    }

    /// Takes the sockets, or standard input and output; from now on those are the null device.
    fn clients(&mut self) -> Result<Waiting> {
        let failed = |error: std::io::Error| Error::io(error, "standard input and output");
        let place = std::mem::replace(&mut self.place, Place::Sockets(Vec::new()));
        let waiting = match place {
            Place::Sockets(sockets) => Waiting::Sockets(sockets),
            Place::Stdio => Waiting::Stdio(
                // Closed on exec: a program that a plugin starts must not keep the client waiting for our end.
                std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?,
                std::io::stdout().as_fd().try_clone_to_owned().map_err(failed)?,
            ),
        };
        process::silence(true)?;
        Ok(waiting)
    }
}

/// Clients that nobody listens to yet: making them asynchronous starts a thread.
enum Waiting {
    Sockets(Vec<Listener>),
    Stdio(OwnedFd, OwnedFd),
}

impl Waiting {
    fn start(self, keepalive: bool) -> Result<Clients> {
        Ok(match self {
            Waiting::Sockets(sockets) => {
                let sockets = sockets.into_iter().map(|socket| socket.start(keepalive));
                Clients::Listen(sockets.collect::<Result<_>>()?)
            }
            Waiting::Stdio(input, output) => {
                let origin = Origin::of(&input);
                let wire = Wire::pair(input, output)
                    .map_err(|error| Error::io(error, "-s: standard input and output"))?;
                Clients::One(wire, origin)
            }
        })
    }
}

fn config(options: &Options) -> Config {
    let style = if options.oldstyle { Style::Oldstyle } else { Style::Newstyle };
    Config::default()
        .style(style)
        .handshake_flags(HandshakeFlags((options.mask_handshake & 0xffff) as u16))
        .structured_replies(!options.no_structured_replies)
        .meta_contexts(!options.no_meta_contexts)
        // `--no-sr` is for testing clients against old servers, which have neither.
        .extended_headers(!options.no_structured_replies)
}

fn write_pid(path: &Path) -> Result<()> {
    let write = || {
        let mut options = std::fs::File::options();
        options.write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
        // One write: who polls for the file never reads half a number.
        options.open(path)?.write_all(format!("{}\n", std::process::id()).as_bytes())
    };
    write().map_err(|error| Error::io(error, path.display().to_string()))
}

/// Ends the server of a captive command. How it ended, if it had before it was asked to.
fn end(server: Pid) -> Option<ExitStatus> {
    let early = match waitpid(server, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => return Some(ExitStatus::from_raw(code << 8)),
        Ok(WaitStatus::Signaled(_, signal, _)) => return Some(ExitStatus::from_raw(signal as i32)),
        _ => None,
    };
    // If it has just ended by itself, there is nothing to do.
    let _ = kill(server, Signal::SIGTERM);
    let _ = waitpid(server, None);
    early
}
