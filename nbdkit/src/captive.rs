// SPDX-License-Identifier: BSD-3-Clause
//! `--run`: a shell command that lives as long as the server, and the server as long as it.
//!
//! The parent process runs the command; the server is its forked child. So the command keeps the terminal, and its
//! exit code becomes that of nbdkit.

use crate::cli::shell_quote;
use nbdkit_plugin::{Error, Result};
use nix::sys::signal::{SigSet, Signal};
use std::{
    ffi::{OsStr, OsString},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitStatus},
};

/// What the command gets to know about the server, as shell variables. They are not exported.
#[derive(Clone, Copy, Default, Debug)]
pub struct Variables<'a> {
    /// `$uri` and `$nbd`: where to connect.
    pub uri: &'a str,
    /// `$exportname`: what `-e` said.
    pub exportname: &'a OsStr,
    /// `$port`: the TCP or vsock port, if one was asked for.
    pub port: &'a str,
    /// `$unixsocket`: the path of the Unix domain socket, if there is one.
    pub unixsocket: Option<&'a Path>,
    /// `$tls`: whether clients may encrypt (1) or must (2). Left out if they cannot.
    pub tls: Option<u8>,
    /// `$tls_certificates`: the directory with the certificates.
    pub tls_certificates: Option<&'a Path>,
    /// `$tls_psk`: the file with the pre-shared keys.
    pub tls_psk: Option<&'a Path>,
}

/// The script: the variables, one assignment a line, then `command` as it is.
pub fn script(variables: &Variables, command: &OsStr) -> OsString {
    let path = |path: Option<&'_ Path>| shell_quote(path.unwrap_or(Path::new("")).as_os_str());
    let tls = variables.tls.map(|tls| tls.to_string());
    let lines = [
        Some(("uri=", shell_quote(variables.uri.as_ref()))),
        Some(("nbd=", "\"$uri\"".into())),
        Some(("exportname=", shell_quote(variables.exportname))),
        Some(("port=", shell_quote(variables.port.as_ref()))),
        Some(("unixsocket=", path(variables.unixsocket))),
        tls.map(|tls| ("tls=", tls.into())),
        Some(("tls_certificates=", path(variables.tls_certificates))),
        Some(("tls_psk=", path(variables.tls_psk))),
    ];
    let mut script = OsString::new();
    for (name, value) in lines.into_iter().flatten() {
        script.push(name);
        script.push(value);
        script.push("\n");
    }
    script.push(command);
    script
}

/// Runs `script` by `/bin/sh` and waits for it.
///
/// While it runs and after it, SIGINT and SIGQUIT are for the command: the calling thread, which has nothing to do
/// any more but to reap the server, has them blocked from then on. (The standard library gives the command back the
/// default action of SIGPIPE.)
///
/// # Errors
/// When there is no shell to run it, or the script is too long.
pub fn run(script: &OsStr) -> Result<ExitStatus> {
    let failed = |error| Error::io(error, "--run: /bin/sh");
    let mut shell = Command::new("/bin/sh").arg("-c").arg(script).spawn().map_err(failed)?;
    // Not earlier: the command would inherit the mask.
    let mut terminal = SigSet::empty();
    terminal.add(Signal::SIGINT);
    terminal.add(Signal::SIGQUIT);
    terminal.thread_block().map_err(|errno| failed(errno.into()))?;
    shell.wait().map_err(failed)
}

/// How nbdkit ends after its command has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: u8,
    /// What is to be said about it: one line each.
    pub messages: Vec<String>,
}

/// What `command` and `server` amount to. `server` is `None` if it was still serving when the command ended: how it
/// ends when asked to is of no interest.
///
/// The command's exit code counts; that of a server which gave up takes the place of 0 only. Who was killed by
/// signal N counts as 128 + N.
pub fn outcome(command: ExitStatus, server: Option<ExitStatus>) -> Outcome {
    let mut messages = Vec::new();
    let mut code = code(command, "external", &mut messages);
    if let Some(server) = server {
        let servers = self::code(server, "nbdkit", &mut messages);
        if code == 0 || server.signal().is_some() {
            code = servers;
        }
    }
    Outcome { code, messages }
}

fn code(status: ExitStatus, who: &str, messages: &mut Vec<String>) -> u8 {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => {
            messages.push(format!("{who} command was killed by signal {signal}"));
            128 + signal
        }
        // `wait` reports processes that have ended only.
        (None, None) => 1,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_starts_with_its_variables() {
        let variables = Variables {
            uri: "nbd+unix://?socket=/tmp/s",
            exportname: "a $b".as_ref(),
            unixsocket: Some(Path::new("/tmp/s")),
            ..Variables::default()
        };
        assert_eq!(
            script(&variables, "nbdinfo \"$uri\"".as_ref()),
            "uri=\"nbd+unix://?socket=/tmp/s\"\n\
             nbd=\"$uri\"\n\
             exportname=\"a \\$b\"\n\
             port=\n\
             unixsocket=/tmp/s\n\
             tls_certificates=\n\
             tls_psk=\n\
             nbdinfo \"$uri\""
        );
        let variables = Variables {
            uri: "nbds://localhost:10",
            port: "10",
            tls: Some(2),
            tls_certificates: Some(Path::new("/c d")),
            ..Variables::default()
        };
        assert_eq!(
            script(&variables, "".as_ref()),
            "uri=nbds://localhost:10\nnbd=\"$uri\"\nexportname=\nport=10\nunixsocket=\ntls=2\n\
             tls_certificates=\"/c d\"\ntls_psk=\n"
        );
    }

    #[test]
    fn a_shell_runs_it() {
        let variables = Variables { uri: "x y", exportname: "`$`\n".as_ref(), ..Variables::default() };
        // Each in a thread of its own, because `run` changes the signal mask.
        let run = |command: &str| {
            let script = script(&variables, command.as_ref());
            std::thread::spawn(move || run(&script).unwrap()).join().unwrap()
        };
        assert_eq!(run("").code(), Some(0));
        assert_eq!(run("exit 300").code(), Some(44));
        assert_eq!(run("test \"$nbd\" = 'x y' && test \"$uri\" = \"$nbd\"").code(), Some(0));
        assert_eq!(run("test \"$exportname\" = '`$`\n'").code(), Some(0));
        assert_eq!(run("env | grep -q ^exportname=").code(), Some(1));
        assert_eq!(run("kill -9 $$").signal(), Some(9));
        // Not ignored and not blocked in the command, although the first is ignored in this process.
        for signal in [13, 2, 3] {
            assert_eq!(run(&format!("kill -{signal} $$")).signal(), Some(signal));
        }
    }

    #[test]
    fn the_exit_code() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        let killed = ExitStatus::from_raw;
        for (command, server, code, messages) in [
            (exit(0), None, 0, vec![]),
            (exit(7), None, 7, vec![]),
            (killed(9), None, 137, vec!["external command was killed by signal 9"]),
            (exit(0), Some(exit(0)), 0, vec![]),
            (exit(0), Some(exit(1)), 1, vec![]),
            (exit(3), Some(exit(1)), 3, vec![]),
            (exit(0), Some(killed(9)), 137, vec!["nbdkit command was killed by signal 9"]),
            (exit(3), Some(killed(9)), 137, vec!["nbdkit command was killed by signal 9"]),
            (killed(15), Some(exit(1)), 143, vec!["external command was killed by signal 15"]),
        ] {
            let outcome = outcome(command, server);
            assert_eq!(
                (outcome.code, &outcome.messages[..]),
                (code, &messages.iter().map(|m| m.to_string()).collect::<Vec<_>>()[..])
            );
        }
    }
}
