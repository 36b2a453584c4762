// SPDX-License-Identifier: BSD-3-Clause
//! [`Options`]: every option is declared here once. Parsing, `--help` and `--long-options` come from this struct.

use super::settings::{DebugFlag, LogTarget, Tls, UnixSocket, by, threads};
use super::unusable::unusable;
use clap::{Command, CommandFactory, FromArgMatches, Parser};
use nbdkit_plugin::{Result, Value};
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// How many requests of a connection are in flight at once unless `-t` says otherwise: as many as the busiest clients
/// send. One costs no thread, and over a line of 20 ms four times as many are four times as fast.
pub const THREADS: u32 = 64;

const LISTENING: &str = "Listening";
const PROTOCOL: &str = "Serving";
const TLS: &str = "Encryption";
const PROCESS: &str = "The process";
const INFORMATION: &str = "Information";

/// What the command line says.
#[derive(Parser, Clone, PartialEq, Debug)]
#[command(
    name = "nbdkit",
    no_binary_name = true,
    disable_help_flag = true,
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true
)]
pub struct Options {
    /// Listen on this address or host name instead of on all.
    #[arg(short, long, visible_alias = "ip-addr", value_name = "ADDRESS", help_heading = LISTENING)]
    #[arg(value_parser = by(String::parse))]
    pub ipaddr: Option<String>,

    /// Listen on IPv4 addresses only.
    #[arg(short = '4', long, overrides_with = "ipv6_only", help_heading = LISTENING)]
    pub ipv4_only: bool,

    /// Listen on IPv6 addresses only.
    #[arg(short = '6', long, overrides_with = "ipv4_only", help_heading = LISTENING)]
    pub ipv6_only: bool,

    /// Listen on this port (number or service name) instead of on 10809; 0 takes a free one.
    #[arg(short, long, value_name = "PORT", help_heading = LISTENING, value_parser = by(String::parse))]
    pub port: Option<String>,

    /// Listen on a Unix domain socket; - makes a private one.
    #[arg(short = 'U', long, value_name = "SOCKET|-", help_heading = LISTENING)]
    #[arg(value_parser = by(UnixSocket::parse))]
    pub unix: Option<UnixSocket>,

    /// Listen for virtual machines of this host (AF_VSOCK).
    #[arg(long, help_heading = LISTENING)]
    pub vsock: bool,

    /// Serve one client on standard input and output.
    #[arg(short, long, visible_alias = "stdin", help_heading = LISTENING)]
    pub single: bool,

    /// SELinux label of the socket.
    #[arg(long, value_name = "LABEL", help_heading = LISTENING)]
    pub selinux_label: Option<OsString>,

    /// Write the NBD URI of the server on standard output.
    #[arg(long, aliases = ["print-url", "show-uri", "show-url"], help_heading = LISTENING)]
    pub print_uri: bool,

    /// Put a filter in front; the first one given is nearest to the client.
    #[arg(long = "filter", value_name = "FILTER", help_heading = PROTOCOL)]
    pub filters: Vec<OsString>,

    /// Clients cannot write.
    #[arg(short, long, visible_alias = "read-only", help_heading = PROTOCOL)]
    pub readonly: bool,

    /// Export name in the URI given to --run and --print-uri.
    #[arg(short, long, visible_aliases = ["export", "export-name"], value_name = "NAME", default_value = "")]
    #[arg(help_heading = PROTOCOL, hide_default_value = true)]
    pub exportname: OsString,

    /// How many requests of a connection may be in flight at once.
    #[arg(short, long, value_name = "N", default_value = "64", help_heading = PROTOCOL)]
    #[arg(value_parser = by(threads))]
    pub threads: u32,

    /// How long a client may take to connect, such as 500ms.
    #[arg(long, visible_alias = "time-out", value_name = "DELAY", help_heading = PROTOCOL)]
    #[arg(value_parser = by(<Duration as Value>::parse))]
    pub timeout: Option<Duration>,

    /// Probe idle clients by TCP keepalive.
    #[arg(long, visible_alias = "keep-alive", help_heading = PROTOCOL)]
    pub keepalive: bool,

    /// Speak the newstyle protocol; the default.
    #[arg(short, long, visible_alias = "new-style", overrides_with = "oldstyle", help_heading = PROTOCOL)]
    pub newstyle: bool,

    /// Speak the oldstyle protocol: one export, no options.
    #[arg(short, long, visible_alias = "old-style", overrides_with = "newstyle", help_heading = PROTOCOL)]
    pub oldstyle: bool,

    /// Refuse structured replies.
    #[arg(long = "no-sr", visible_alias = "no-structured-replies", help_heading = PROTOCOL)]
    pub no_structured_replies: bool,

    /// Refuse meta contexts.
    #[arg(long = "no-mc", visible_alias = "no-meta-contexts", help_heading = PROTOCOL)]
    pub no_meta_contexts: bool,

    /// Offer only these handshake flags (bit 0: fixed newstyle, bit 1: no zeroes).
    #[arg(long, value_name = "N", default_value = "0xffffffff", help_heading = PROTOCOL)]
    #[arg(hide_default_value = true, value_parser = by(u32::parse))]
    pub mask_handshake: u32,

    /// Whether clients may or must encrypt.
    #[arg(long, value_name = "off|on|require", help_heading = TLS, value_parser = by(Tls::parse))]
    pub tls: Option<Tls>,

    /// Directory with ca-cert.pem, server-cert.pem and server-key.pem.
    #[arg(long, value_name = "DIR", help_heading = TLS, value_parser = by(PathBuf::parse))]
    pub tls_certificates: Option<PathBuf>,

    /// File of pre-shared keys, instead of certificates.
    #[arg(long, value_name = "FILE", help_heading = TLS, value_parser = by(PathBuf::parse))]
    pub tls_psk: Option<PathBuf>,

    /// Which versions and ciphers to use, as a GnuTLS priority string.
    #[arg(long, value_name = "PRIORITY", help_heading = TLS, value_parser = by(String::parse))]
    pub tls_priority: Option<String>,

    /// Clients must show a certificate that we trust.
    #[arg(long, help_heading = TLS)]
    pub tls_verify_peer: bool,

    /// Stay in the foreground.
    #[arg(short, long, visible_alias = "no-fork", help_heading = PROCESS)]
    pub foreground: bool,

    /// Run a shell command against the server, which lives as long as it. The command has $uri and $unixsocket.
    #[arg(long, value_name = "COMMAND", help_heading = PROCESS)]
    pub run: Option<OsString>,

    /// End when the parent process ends.
    #[arg(long, help_heading = PROCESS)]
    pub exit_with_parent: bool,

    /// Write the process ID to this file when clients can connect.
    #[arg(short = 'P', long, visible_alias = "pid-file", value_name = "FILE", help_heading = PROCESS)]
    #[arg(value_parser = by(PathBuf::parse))]
    pub pidfile: Option<PathBuf>,

    /// Change to this user once listening.
    #[arg(short, long, value_name = "USER", help_heading = PROCESS, value_parser = by(String::parse))]
    pub user: Option<String>,

    /// Change to this group once listening.
    #[arg(short, long, value_name = "GROUP", help_heading = PROCESS, value_parser = by(String::parse))]
    pub group: Option<String>,

    /// Lock memory, so that a client may swap to this server on the same host.
    #[arg(long, help_heading = PROCESS)]
    pub swap: bool,

    /// Where error messages go.
    #[arg(long, value_name = "default|stderr|syslog|null|/FILE", help_heading = PROCESS)]
    #[arg(default_value = "default", hide_default_value = true, value_parser = by(LogTarget::parse))]
    pub log: LogTarget,

    /// Name of this server in its messages.
    #[arg(long, value_name = "NAME", help_heading = PROCESS, value_parser = by(String::parse))]
    pub name: Option<String>,

    /// Tell on standard error what happens.
    #[arg(short, long, help_heading = PROCESS)]
    pub verbose: bool,

    /// Tell more about one thing, or less.
    #[arg(short = 'D', long, value_name = "NAME.FLAG=N", help_heading = PROCESS)]
    #[arg(value_parser = by(DebugFlag::parse))]
    pub debug: Vec<DebugFlag>,

    /// This text; with a plugin also its parameters and those of the filters.
    #[arg(long, help_heading = INFORMATION)]
    pub help: bool,

    /// The version; with a plugin also those of plugin and filters.
    #[arg(short = 'V', long, help_heading = INFORMATION)]
    pub version: bool,

    /// How this nbdkit was built, as key=value lines.
    #[arg(long, help_heading = INFORMATION)]
    pub dump_config: bool,

    /// What a plugin can do, as key=value lines.
    #[arg(long, help_heading = INFORMATION)]
    pub dump_plugin: bool,

    /// All short options, one per line.
    #[arg(long, help_heading = INFORMATION)]
    pub short_options: bool,

    /// All long options, one per line.
    #[arg(long, help_heading = INFORMATION)]
    pub long_options: bool,

    /// The plugin: its name, or the file that it is in elsewhere.
    pub plugin: Option<OsString>,

    /// What is behind the plugin: `key=value`, or just a value.
    pub parameters: Vec<OsString>,
}

/// What the command line asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    /// `--dump-config`
    DumpConfig,
    /// `--short-options`
    ShortOptions,
    /// `--long-options`
    LongOptions,
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// `--dump-plugin`
    DumpPlugin,
    /// To serve a disk.
    Serve,
}

impl Options {
    /// Reads the arguments behind the program's name.
    ///
    /// # Errors
    /// When they are not usable. The caller ends with exit code 1.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Options> {
        let args: Vec<OsString> = args.into_iter().collect();
        if let Some(options) = at_once(&args) {
            return Ok(options);
        }
        command()
            .try_get_matches_from(&args)
            .and_then(|matches| Options::from_arg_matches(&matches))
            .map(Options::with_consequences)
            .map_err(|error| unusable(&error))
    }

    /// What is to be done. Questions go before serving; the answers that need no plugin go first.
    pub fn task(&self) -> Task {
        [
            (self.dump_config, Task::DumpConfig),
            (self.short_options, Task::ShortOptions),
            (self.long_options, Task::LongOptions),
            (self.help, Task::Help),
            (self.version, Task::Version),
            (self.dump_plugin, Task::DumpPlugin),
        ]
        .into_iter()
        .find_map(|(asked, task)| asked.then_some(task))
        .unwrap_or(Task::Serve)
    }

    /// What follows from some options: a command of its own wants a private socket; a server that somebody waits for
    /// does not leave for the background.
    fn with_consequences(mut self) -> Options {
        let listens = self.unix.is_some() || self.port.is_some() || self.vsock || self.single;
        if self.run.is_some() && !listens {
            self.unix = Some(UnixSocket::Private);
        }
        self.foreground |= self.run.is_some() || self.exit_with_parent || self.single;
        self.timeout = self.timeout.filter(|timeout| !timeout.is_zero());
        self
    }
}

/// The options as clap knows them: parsing and help are made from it.
pub(super) fn command() -> Command {
    // As getopt does: what follows an option that wants a value is its value, whatever it looks like.
    Options::command().mut_args(|arg| match arg.get_action().takes_values() && !arg.is_positional() {
        true => arg.allow_hyphen_values(true),
        false => arg,
    })
}

/// Three questions are answered as soon as they are read: nobody looks at what stands behind them.
fn at_once(args: &[OsString]) -> Option<Options> {
    let asks = |arg: &OsString| {
        let arg = arg.as_encoded_bytes();
        [b"--dump-config".as_slice(), b"--short-options", b"--long-options"]
            .iter()
            .any(|question| arg.len() > 2 && question.starts_with(arg))
    };
    let ends = args.iter().enumerate().take_while(|(_, arg)| *arg != "--").filter(|(_, arg)| asks(arg));
    ends.map_while(|(end, _)| command().try_get_matches_from(&args[..=end]).ok())
        .filter_map(|matches| Options::from_arg_matches(&matches).ok())
        .find(|options| matches!(options.task(), Task::DumpConfig | Task::ShortOptions | Task::LongOptions))
}

/// All short options, as `--short-options` lists them.
pub fn short() -> Vec<String> {
    let mut options: Vec<char> = command().get_arguments().filter_map(|arg| arg.get_short()).collect();
    options.sort_by_key(|c| (c.to_ascii_lowercase(), c.is_ascii_uppercase()));
    options.into_iter().map(|c| format!("-{c}")).collect()
}

/// All long options with their aliases, as `--long-options` lists them.
pub fn long() -> Vec<String> {
    let command = command();
    let names = |arg: &clap::Arg| {
        let mut names: Vec<String> = arg.get_long().map(|name| format!("--{name}")).into_iter().collect();
        names.extend(arg.get_all_aliases().unwrap_or_default().iter().map(|name| format!("--{name}")));
        names
    };
    let mut options: Vec<String> = command.get_arguments().flat_map(names).collect();
    options.sort();
    options
}

#[cfg(test)]
mod tests;
