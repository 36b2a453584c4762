// SPDX-License-Identifier: BSD-3-Clause
//! What the kernel tells of a process: memory, threads, open descriptors, whether it still runs.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running process which the test started, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(pub i32);

impl Process {
    /// Sends a signal.
    pub fn signal(self, signal: Signal) {
        kill(Pid::from_raw(self.0), signal).unwrap();
    }

    /// Whether it has ended. A zombie has: nobody may be there to reap a daemon in a container.
    pub fn gone(self) -> bool {
        match fs::read_to_string(format!("/proc/{}/stat", self.0)) {
            Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
            Err(_) => true,
        }
    }

    /// Resident memory now, in bytes.
    pub fn resident(self) -> u64 {
        self.status("VmRSS") * 1024
    }

    /// The most memory that was resident since the start or [`Process::forget_peak`], in bytes.
    pub fn peak(self) -> u64 {
        self.status("VmHWM") * 1024
    }

    /// Sets the peak back to what is resident now.
    pub fn forget_peak(self) {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5").unwrap();
    }

    /// Number of threads.
    pub fn threads(self) -> u64 {
        self.status("Threads")
    }

    /// Number of open sockets: those that listen, and one a connection.
    pub fn sockets(self) -> usize {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.0)).unwrap();
        // A descriptor may be closed while we look.
        let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// Number of open descriptors.
    pub fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0)).unwrap().count()
    }

    /// How long it has kept CPUs busy so far.
    pub fn cpu_time(self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).expect("the process runs");
        // Behind the name, which may have anything in it; utime and stime are fields 14 and 15 (proc(5)).
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        // USER_HZ is 100 wherever Linux runs.
        Duration::from_millis(ticks * 10)
    }

    fn status(self, key: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("the process runs");
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        value
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .expect("a number in /proc/PID/status")
    }
}
