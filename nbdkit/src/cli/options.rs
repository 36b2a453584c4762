// SPDX-License-Identifier: BSD-3-Clause
//! [`Options`]: every option is declared here once. Parsing, `--help` and `--long-options` come from this struct.

use super::settings::{DebugFlag, LogTarget, Tls, UnixSocket, by, threads};
use super::unusable::unusable;
use clap::{Command, CommandFactory, FromArgMatches, Parser};
use nbdkit_plugin::{Result, Value};
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// How many requests of a connection are in flight at once unless `-t` says otherwise.
pub const THREADS: u32 = 16;

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
    #[arg(short, long, value_name = "N", default_value = "16", help_heading = PROTOCOL)]
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
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Options {
        Options::parse(args.iter().map(OsString::from)).unwrap_or_else(|error| panic!("{args:?}: {error}"))
    }

    fn line(args: &[&str]) -> String {
        let error = Options::parse(args.iter().map(OsString::from)).unwrap_err().to_string();
        let (line, hint) = error.split_once('\n').unwrap();
        assert_eq!(hint, "Use 'nbdkit --help' for the list of options.");
        line.to_owned()
    }

    #[test]
    fn nothing_given() {
        let options = parse(&[]);
        assert_eq!(options.task(), Task::Serve);
        assert_eq!((options.threads, options.mask_handshake), (THREADS, u32::MAX));
        assert_eq!((options.log, options.exportname), (LogTarget::Default, OsString::new()));
        assert!(options.plugin.is_none() && options.parameters.is_empty() && options.unix.is_none());
        assert!(
            !options.foreground && !options.verbose && options.tls.is_none() && options.timeout.is_none()
        );
    }

    #[test]
    fn every_name_of_every_option() {
        type Check = fn(&Options) -> bool;
        let table: &[(&[&str], &str, Check)] = &[
            (&["-4", "--ipv4-only"], "", |o| o.ipv4_only && !o.ipv6_only),
            (&["-6", "--ipv6-only"], "", |o| o.ipv6_only && !o.ipv4_only),
            (&["-D", "--debug"], "a.b=1", |o| o.debug[0].value == 1),
            (&["--exit-with-parent"], "", |o| o.exit_with_parent && o.foreground),
            (&["-e", "--export", "--export-name", "--exportname"], "x", |o| o.exportname == "x"),
            (&["--filter"], "x", |o| o.filters == ["x"]),
            (&["-f", "--foreground", "--no-fork"], "", |o| o.foreground),
            (&["-g", "--group"], "x", |o| o.group.as_deref() == Some("x")),
            (&["-u", "--user"], "x", |o| o.user.as_deref() == Some("x")),
            (&["-i", "--ip-addr", "--ipaddr"], "::1", |o| o.ipaddr.as_deref() == Some("::1")),
            (&["--keepalive", "--keep-alive"], "", |o| o.keepalive),
            (&["--log"], "null", |o| o.log == LogTarget::Null),
            (&["--mask-handshake"], "0x2", |o| o.mask_handshake == 2),
            (&["--name"], "x", |o| o.name.as_deref() == Some("x")),
            (&["-n", "--new-style", "--newstyle"], "", |o| o.newstyle && !o.oldstyle),
            (&["-o", "--old-style", "--oldstyle"], "", |o| o.oldstyle && !o.newstyle),
            (&["--no-mc", "--no-meta-contexts"], "", |o| o.no_meta_contexts),
            (&["--no-sr", "--no-structured-replies"], "", |o| o.no_structured_replies),
            (&["-P", "--pid-file", "--pidfile"], "/x", |o| o.pidfile == Some("/x".into())),
            (&["-p", "--port"], "nbd", |o| o.port.as_deref() == Some("nbd")),
            (&["--print-uri", "--print-url", "--show-uri", "--show-url"], "", |o| o.print_uri),
            (&["-r", "--read-only", "--readonly"], "", |o| o.readonly),
            (&["--run"], "true", |o| o.run == Some("true".into())),
            (&["--selinux-label"], "x", |o| o.selinux_label == Some("x".into())),
            (&["-s", "--single", "--stdin"], "", |o| o.single && o.foreground),
            (&["--swap"], "", |o| o.swap),
            (&["-t", "--threads"], "3", |o| o.threads == 3),
            (&["--timeout", "--time-out"], "50ms", |o| o.timeout == Some(Duration::from_millis(50))),
            (&["--tls"], "require", |o| o.tls == Some(Tls::Require)),
            (&["--tls-certificates"], "/x", |o| o.tls_certificates == Some("/x".into())),
            (&["--tls-psk"], "/x", |o| o.tls_psk == Some("/x".into())),
            (&["--tls-priority"], "x", |o| o.tls_priority.as_deref() == Some("x")),
            (&["--tls-verify-peer"], "", |o| o.tls_verify_peer),
            (&["-U", "--unix"], "-", |o| o.unix == Some(UnixSocket::Private)),
            (&["-v", "--verbose"], "", |o| o.verbose),
            (&["--vsock"], "", |o| o.vsock),
            (&["--help"], "", |o| o.task() == Task::Help),
            (&["-V", "--version"], "", |o| o.task() == Task::Version),
            (&["--dump-config"], "", |o| o.task() == Task::DumpConfig),
            (&["--dump-plugin"], "", |o| o.task() == Task::DumpPlugin),
            (&["--short-options"], "", |o| o.task() == Task::ShortOptions),
            (&["--long-options"], "", |o| o.task() == Task::LongOptions),
        ];
        let (mut shorts, mut longs) = (short(), long());
        for (names, value, check) in table {
            for name in *names {
                let args: Vec<_> = [*name].into_iter().chain((!value.is_empty()).then_some(*value)).collect();
                assert!(check(&parse(&args)), "{args:?}");
                let attached = match name.starts_with("--") {
                    true => format!("{name}={value}"),
                    false => format!("{name}{value}"),
                };
                if !value.is_empty() {
                    assert!(check(&parse(&[&attached])), "{attached}");
                }
                shorts.retain(|known| known != name);
                longs.retain(|known| known != name);
            }
        }
        assert_eq!((shorts, longs), (vec![], vec![]), "options without a line in the table");
    }

    #[test]
    fn lists_for_shell_completion() {
        assert_eq!(short().join(""), "-4-6-D-e-f-g-i-n-o-p-P-r-s-t-u-U-v-V");
        let long = long();
        assert!(long.is_sorted() && long.contains(&"--short-options".into()));
    }

    #[test]
    fn options_may_follow_the_plugin_and_dashes_end_them() {
        let options = parse(&["null", "-f", "size=1M", "-p10", "x", "--", "--run", "-v"]);
        assert_eq!(options.plugin, Some("null".into()));
        assert_eq!(options.parameters, ["size=1M", "x", "--run", "-v"]);
        assert!(options.foreground && options.run.is_none() && !options.verbose);
        assert_eq!(parse(&["--", "-v"]).plugin, Some("-v".into()));
        assert_eq!(parse(&["-", "-"]).parameters, ["-"]);
        assert_eq!(parse(&["", ""]).plugin, Some("".into()));
    }

    #[test]
    fn clusters_and_abbreviations() {
        let options = parse(&["-fvrp10809", "--vers", "--time=1s", "--ipv4", "--mask=1"]);
        assert!(options.foreground && options.verbose && options.readonly && options.version);
        assert_eq!(options.port.as_deref(), Some("10809"));
        assert!(options.ipv4_only && options.mask_handshake == 1 && options.timeout.is_some());
        // Two names of one option are not ambiguous.
        assert!(parse(&["--pid", "x"]).pidfile.is_some());
        assert_eq!(
            line(&["--no", "null"]),
            "option '--no' is ambiguous; possibilities: --no-fork --no-mc --no-meta-contexts --no-sr --no-structured-replies"
        );
    }

    #[test]
    fn a_value_is_a_value_whatever_it_looks_like() {
        assert_eq!(parse(&["-U", "-", "null"]).plugin, Some("null".into()));
        assert_eq!(parse(&["-e", "", "null"]).plugin, Some("null".into()));
        assert_eq!(parse(&["-e", "-f"]).exportname, "-f");
        assert_eq!(parse(&["-e", "--"]).exportname, "--");
        assert_eq!(parse(&["-e", "--dump-config"]).task(), Task::Serve);
        assert_eq!(parse(&["--run", "--x"]).run, Some("--x".into()));
        assert_eq!(parse(&["--run="]).run, Some("".into()));
    }

    #[test]
    fn values_are_bytes() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let options =
            Options::parse([bytes(b"-e\xff"), bytes(b"--run=\xfe"), bytes(b"null"), bytes(b"a=\xfd")])
                .unwrap();
        assert_eq!((options.exportname, options.run), (bytes(b"\xff"), Some(bytes(b"\xfe"))));
        assert_eq!(options.parameters, [bytes(b"a=\xfd")]);
        let error = Options::parse([bytes(b"--port=\xff")]).unwrap_err().to_string();
        assert!(error.starts_with("--port: \"\\xFF\" is not UTF-8"), "{error}");
    }

    #[test]
    fn the_last_one_wins() {
        assert_eq!(parse(&["-p1", "-p", "2"]).port.as_deref(), Some("2"));
        assert!(parse(&["-f", "-f", "-vv"]).verbose);
        let family = |args| (parse(args).ipv4_only, parse(args).ipv6_only);
        assert_eq!(family(&["-4", "-6"]), (false, true));
        assert_eq!(family(&["-6", "-4", "-4"]), (true, false));
        assert!(!parse(&["-o", "-n"]).oldstyle);
        assert!(parse(&["-n", "-o", "-o"]).oldstyle);
        assert_eq!(parse(&["--filter=a", "null", "--filter", "b"]).filters, ["a", "b"]);
        assert_eq!(parse(&["-Da.b=1", "-D", "c.d=2"]).debug.len(), 2);
        assert_eq!(parse(&["-U", "-", "-U/x"]).unix, Some(UnixSocket::Path("/x".into())));
    }

    #[test]
    fn what_follows_from_some() {
        let captive = parse(&["null", "--run", "true"]);
        assert!(captive.foreground && captive.unix == Some(UnixSocket::Private));
        assert_eq!(parse(&["--run=", "-p1"]).unix, None);
        assert_eq!(parse(&["--run=", "--vsock"]).unix, None);
        assert_eq!(parse(&["--run=", "-s"]).unix, None);
        assert_eq!(parse(&["-i::1", "--run=x"]).unix, Some(UnixSocket::Private));
        assert_eq!(parse(&["--timeout=0"]).timeout, None);
        assert_eq!(parse(&["-t0"]).threads, THREADS);
    }

    #[test]
    fn questions() {
        for (args, task) in [
            (&["--version", "--help"][..], Task::Help),
            (&["null", "--dump-plugin", "-V"], Task::Version),
            (&["null", "--dump-plugin", "--run", "x"], Task::DumpPlugin),
            (&["--dump-config", "--bogus"], Task::DumpConfig),
            (&["null", "--short", "--dump-config"], Task::ShortOptions),
            (&["--long-options", "--short-options", "--run"], Task::LongOptions),
            (&["--help", "--dump-config"], Task::DumpConfig),
            (&["null", "--", "--dump-config"], Task::Serve),
        ] {
            assert_eq!(parse(args).task(), task, "{args:?}");
        }
        assert!(line(&["--bogus", "--dump-config"]).contains("--bogus"));
    }

    #[test]
    fn unusable_command_lines() {
        for (args, expected) in [
            (&["--bogus", "null"][..], "unrecognized option '--bogus'"),
            (&["--readonyl"], "unrecognized option '--readonyl', did you mean '--readonly'?"),
            (&["-x"], "unrecognized option '-x'"),
            (&["null", "-vx"], "unrecognized option '-x'"),
            (&["null", "--run"], "option '--run' requires an argument: --run <COMMAND>"),
            (&["-p"], "option '--port' requires an argument: --port <PORT>"),
            (&["--help=3"], "option '--help' doesn't allow an argument"),
            (&["-t", "-1"], "--threads: negative numbers are not allowed: -1"),
            (&["-tx"], "--threads: could not parse number: \"x\": empty string where we expected a number"),
            (&["--tls=xx"], "--tls: could not decipher boolean (xx), should be off, on or require"),
            (
                &["-D", "foo"],
                "-D (Debug Flag) must have the format NAME.FLAG=N, such as memory.pages=1, not 'foo'",
            ),
            (
                &["--log=xx"],
                "--log must be \"default\", \"stderr\", \"syslog\", \"null\" or an absolute path, not 'xx'",
            ),
            (&["-U", ""], "--unix: the path is empty"),
            (&["-P", ""], "--pidfile: the path is empty"),
        ] {
            assert_eq!(line(args), expected, "{args:?}");
        }
        assert!(
            line(&["--mask-handshake=-1"]).starts_with("--mask-handshake: could not parse number: \"-1\"")
        );
        assert!(line(&["--timeout=x"]).starts_with("--timeout: could not parse delay or sleep: \"x\""));
    }
}
