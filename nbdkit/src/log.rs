// SPDX-License-Identifier: BSD-3-Clause
//! Where messages go: standard error while somebody may look at it, the system log afterwards.

use crate::cli::LogTarget;
use nbdkit_plugin::{Error, LogSink, Result};
use std::{
    fmt,
    fs::File,
    io::Write,
    os::unix::{fs::OpenOptionsExt, net::UnixDatagram},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// The process's sink.
pub struct Sink {
    verbose: bool,
    /// `nbdkit`, or `nbdkit[NAME]` with `--name`.
    program: String,
    errors: Errors,
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
        Ok(Sink { verbose, program, errors, detached: AtomicBool::new(false) })
    }

    /// From now on nobody looks at standard error.
    pub fn detach(&self) {
        self.detached.store(true, Relaxed);
    }

    fn line(&self, who: &str, kind: &str, message: fmt::Arguments<'_>) -> String {
        let colon = if who.is_empty() { "" } else { ": " };
        format!("{}: {who}{colon}{kind}: {}\n", self.program, escaped(&message.to_string()))
    }
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
            Errors::Default | Errors::Stderr => std::io::stderr().write_all(line.as_bytes()),
        };
    }

    fn debug(&self, who: &str, message: fmt::Arguments<'_>) {
        let _ = std::io::stderr().write_all(self.line(who, "debug", message).as_bytes());
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
