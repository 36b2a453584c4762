// SPDX-License-Identifier: BSD-3-Clause
//! System calls per request, counted in a run of its own.
//!
//! perf counts without slowing the server; where it may not, strace does, whose delays let batches grow.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::{Context, Result, succeeds};

/// Until a counter watches all threads of a process.
const ATTACH: Duration = Duration::from_millis(150);
const EVENT: &str = "raw_syscalls:sys_enter";

/// Something that watches a process.
pub struct Counter {
    child: Child,
    out: std::path::PathBuf,
}

/// Whether perf may count here; if not, strace has to.
pub fn has_perf() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| succeeds(Command::new("perf").args(["stat", "-e", EVENT, "--", "true"])))
}

impl Counter {
    /// Watches the process from now on; what the counter says goes to the file `out`.
    pub fn start(pid: u32, out: &Path) -> Result<Counter> {
        let pid = pid.to_string();
        let mut command = if has_perf() {
            let mut perf = Command::new("perf");
            perf.args(["stat", "-x", ",", "-e", EVENT, "-p", &pid, "-o"]).arg(out);
            perf
        } else {
            let mut strace = Command::new("strace");
            strace.args(["-c", "-f", "-p", &pid, "-o"]).arg(out);
            strace
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("counting system calls")?;
        sleep(ATTACH);
        Ok(Counter { child, out: out.into() })
    }

    /// Stops watching and says how many there were.
    pub fn stop(mut self) -> Result<f64> {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT);
        self.child.wait().context("counting system calls")?;
        let said = fs::read_to_string(&self.out).context(self.out.display())?;
        parse(&said).ok_or_else(|| format!("no count of system calls in {said:?}").into())
    }
}

/// perf: `COUNT,,raw_syscalls:sys_enter,...`; strace: a table with the calls in its fourth column, then totals.
fn parse(said: &str) -> Option<f64> {
    if let Some(line) = said.lines().find(|line| line.contains(EVENT)) {
        return line.split(',').next()?.parse().ok();
    }
    let calls = said.lines().filter(|line| !line.ends_with("total")).filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next()?.parse::<f64>().ok()?;
        words.nth(2)?.parse::<f64>().ok()
    });
    let calls: Vec<f64> = calls.collect();
    (!calls.is_empty()).then(|| calls.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_perf_and_strace() {
        assert_eq!(parse("# started\n\n1234,,raw_syscalls:sys_enter,5678,100.00,,\n"), Some(1234.0));
        let strace = "% time     seconds  usecs/call     calls    errors syscall\n------ ---\n \
                      90.00    0.5           1      1000           read\n 10.00    0.1           1        10        10 futex\n\
                      100.00    0.6           1      1010        10 total\n";
        assert_eq!(parse(strace), Some(1010.0));
        assert_eq!(parse("strace: nothing"), None);
        assert_eq!(parse("<not counted>,,raw_syscalls:sys_enter"), None);
    }
}
