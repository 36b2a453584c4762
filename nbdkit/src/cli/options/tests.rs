// SPDX-License-Identifier: BSD-3-Clause
//! What every command line means.

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
    assert!(!options.foreground && !options.verbose && options.tls.is_none() && options.timeout.is_none());
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
        Options::parse([bytes(b"-e\xff"), bytes(b"--run=\xfe"), bytes(b"null"), bytes(b"a=\xfd")]).unwrap();
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
        (&["-D", "foo"], "-D (Debug Flag) must have the format NAME.FLAG=N, such as file.zero=1, not 'foo'"),
        (
            &["--log=xx"],
            "--log must be \"default\", \"stderr\", \"syslog\", \"null\" or an absolute path, not 'xx'",
        ),
        (&["-U", ""], "--unix: the path is empty"),
        (&["-P", ""], "--pidfile: the path is empty"),
    ] {
        assert_eq!(line(args), expected, "{args:?}");
    }
    assert!(line(&["--mask-handshake=-1"]).starts_with("--mask-handshake: could not parse number: \"-1\""));
    assert!(line(&["--timeout=x"]).starts_with("--timeout: could not parse delay or sleep: \"x\""));
}
