// SPDX-License-Identifier: BSD-3-Clause
//! Where messages go: standard error while somebody may look at it, the system log afterwards.

use crate::cli::LogTarget;
use nbdkit_plugin::{Error, LogSink, Result};
use std::{
    fmt,
    fs::File,
    io::{IsTerminal, Write},
    os::unix::{fs::OpenOptionsExt, net::UnixDatagram},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// The process's sink.
pub struct Sink {
    verbose: bool,
    /// `nbdkit`, or `nbdkit[NAME]` with `--name`.
    program: String,
    errors: Errors,
    /// Standard error is a terminal, and colours are welcome there.
    colour: bool,
    /// Nobody looks at standard error any more.
    detached: AtomicBool,
}

/// Where error messages go. Debug messages always go to standard error.
enum Errors {
    /// Standard error, and the system log once detached.
    Default,
    Stderr,
    Syslog,
    Null,
    File(File),
}

/// Syslog facility daemon (3), severity error (3): RFC 3164, section 4.1.1.
const DAEMON_ERROR: u8 = 3 << 3 | 3;

impl Sink {
    /// `verbose` is `-v`, `name` is `--name`, `target` is `--log`.
    ///
    /// # Errors
    /// When the log file cannot be opened.
    pub fn new(verbose: bool, name: Option<&str>, target: &LogTarget) -> Result<Sink> {
        let program = name.map_or_else(|| "nbdkit".to_owned(), |name| format!("nbdkit[{name}]"));
        let errors = match target {
            LogTarget::Default => Errors::Default,
            LogTarget::Stderr => Errors::Stderr,
            LogTarget::Syslog => Errors::Syslog,
            LogTarget::Null => Errors::Null,
            LogTarget::File(path) => {
                let file = File::options().append(true).create(true).mode(0o644).open(path);
                Errors::File(file.map_err(|error| Error::io(error, format!("--log: {}", path.display())))?)
            }
        };
        Ok(Sink { verbose, program, errors, colour: colour(), detached: AtomicBool::new(false) })
    }

    /// From now on nobody looks at standard error.
    pub fn detach(&self) {
        self.detached.store(true, Relaxed);
    }

    fn line(&self, who: &str, kind: &str, message: fmt::Arguments<'_>) -> String {
        let colon = if who.is_empty() { "" } else { ": " };
        format!("{}: {who}{colon}{kind}: {}\n", self.program, escaped(&message.to_string()))
    }

    /// On standard error.
    fn show(&self, line: &str, style: &str) -> std::io::Result<()> {
        match self.colour && !style.is_empty() {
            true => std::io::stderr()
                .write_all(format!("{style}{}{NORMAL}\n", line.trim_end_matches('\n')).as_bytes()),
            false => std::io::stderr().write_all(line.as_bytes()),
        }
    }
}

/// Styles of a terminal (ECMA-48, "Select graphic rendition").
const PLAIN: &str = "";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const NORMAL: &str = "\x1b[0m";

/// Not where somebody said that they do not want it (no-color.org).
fn colour() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    std::io::stderr().is_terminal() && !set("NO_COLOR") && !dumb
}

impl LogSink for Sink {
    fn error(&self, who: &str, message: fmt::Arguments<'_>) {
        let line = self.line(who, "error", message);
        // One write per line, so that lines of several threads do not mix. Nobody can be told of a failure here.
        let _ = match &self.errors {
            Errors::Null => Ok(()),
            Errors::File(file) => { file }.write_all(line.as_bytes()),
            Errors::Default if self.detached.load(Relaxed) => syslog(&line),
            Errors::Syslog => syslog(&line),
            Errors::Default | Errors::Stderr => self.show(&line, RED),
        };
    }

    fn debug(&self, who: &str, message: fmt::Arguments<'_>) {
        // The server speaks for itself, or for a plugin or filter.
        let style = if who.is_empty() { PLAIN } else { BOLD };
        let _ = self.show(&self.line(who, "debug", message), style);
    }

    fn verbose(&self) -> bool {
        self.verbose
    }
}

/// A message may quote what a client sent: one line stays one line.
fn escaped(message: &str) -> String {
    if !message.contains(|c: char| c.is_control()) {
        return message.to_owned();
    }
    message
        .chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// The line goes as it is, with the process id behind the program's name.
fn syslog(line: &str) -> std::io::Result<()> {
    let (program, message) = line.split_once(": ").unwrap_or(("nbdkit", line));
    let packet = format!("<{DAEMON_ERROR}>{program}[{}]: {}", std::process::id(), message.trim_end());
    UnixDatagram::unbound()?.send_to(packet.as_bytes(), "/dev/log").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_shape_that_scripts_know() {
        let sink = Sink::new(false, None, &LogTarget::Default).unwrap();
        assert_eq!(sink.line("", "error", format_args!("no")), "nbdkit: error: no\n");
        assert_eq!(
            sink.line("memory[1]", "error", format_args!("a\nb")),
            "nbdkit: memory[1]: error: a\\nb\n"
        );
        assert_eq!(
            Sink::new(false, Some("in"), &LogTarget::Null).unwrap().line("", "debug", format_args!("x")),
            "nbdkit[in]: debug: x\n"
        );
    }
}
