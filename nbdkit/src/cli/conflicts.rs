// SPDX-License-Identifier: BSD-3-Clause
//! Options that contradict each other. Looked at before anything is opened.

use super::{Options, settings::Tls};
use nbdkit_plugin::{Error, Result};

/// Whether these options can be used together. `activated`: the sockets come from socket activation.
///
/// # Errors
/// Names the options that cannot.
pub fn check(options: &Options, activated: bool) -> Result<()> {
    if activated {
        if let Some(flag) = not_with_activation(options) {
            return Err(Error::invalid(format!(
                "cannot use socket activation with {flag} flag: the sockets come from outside"
            )));
        }
    } else if let Some((one, other)) = contradiction(options) {
        return Err(Error::invalid(format!(
            "--dump-plugin, -p, --run, -s, -U or --vsock options cannot be used in this combination\n\
             Use either {one} or {other}."
        )));
    }
    if options.oldstyle && options.tls == Some(Tls::Require) {
        return Err(Error::invalid(
            "cannot use oldstyle protocol (-o) and require TLS\nUse either -o or --tls=require.",
        ));
    }
    Ok(())
}

fn contradiction(options: &Options) -> Option<(&'static str, &'static str)> {
    let port = (options.port.is_some(), "-p");
    let unix = (options.unix.is_some(), "-U");
    let single = (options.single, "-s");
    let vsock = (options.vsock, "--vsock");
    let run = (options.run.is_some(), "--run");
    let dump = (options.dump_plugin, "--dump-plugin");
    [
        (port, unix),
        (port, single),
        (unix, single),
        (single, run),
        (single, dump),
        (vsock, unix),
        (vsock, single),
    ]
    .into_iter()
    .find_map(|(one, other)| (one.0 && other.0).then_some((one.1, other.1)))
}

fn not_with_activation(options: &Options) -> Option<&'static str> {
    [
        (options.ipaddr.is_some(), "-i"),
        (options.port.is_some(), "-p"),
        (options.run.is_some(), "--run"),
        (options.single, "-s"),
        (options.unix.is_some(), "-U"),
    ]
    .into_iter()
    .find_map(|(given, flag)| given.then_some(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(line: &str, activated: bool) -> Result<()> {
        check(&Options::parse(line.split_whitespace().map(Into::into)).unwrap(), activated)
    }

    #[test]
    fn where_to_listen() {
        for line in
            ["-p1 -U-", "-p1 -s", "-U- -s", "-s --run x", "-s --dump-plugin", "--vsock -U-", "--vsock -s"]
        {
            let error = checked(line, false).unwrap_err().to_string();
            assert!(error.starts_with("--dump-plugin, -p, --run, -s, -U or --vsock options cannot be used in this combination\nUse either "), "{line}: {error}");
        }
        for line in [
            "",
            "--run x",
            "--run x -p1",
            "--run x -U-",
            "--run x --vsock",
            "--vsock -p1",
            "--dump-plugin --run x",
        ] {
            checked(line, false).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        let error = checked("-s --run x", false).unwrap_err().to_string();
        assert!(error.ends_with("\nUse either -s or --run."), "{error}");
    }

    #[test]
    fn socket_activation() {
        for (line, flag) in [
            ("-i::1", "-i"),
            ("-p1", "-p"),
            ("--run x", "--run"),
            ("-s", "-s"),
            ("-U-", "-U"),
            ("-p1 -U-", "-p"),
        ] {
            let error = checked(line, true).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("cannot use socket activation with {flag} flag")),
                "{line}: {error}"
            );
        }
        checked("-f --vsock", true).unwrap();
    }

    #[test]
    fn oldstyle_has_no_tls() {
        let error = checked("-o --tls=require", false).unwrap_err().to_string();
        assert!(error.starts_with("cannot use oldstyle protocol (-o) and require TLS\n"));
        checked("-o --tls=on", false).unwrap();
        checked("-o -n --tls=require", false).unwrap();
    }
}
