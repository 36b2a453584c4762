// SPDX-License-Identifier: BSD-3-Clause
//! A running server: started, awaited, looked at from outside, ended.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::connection::{Address, Connection, Stream};
use super::contender::Contender;
use super::export::Export;
use super::secure;
use crate::process::{Context, Result, line};

/// A server that takes longer to begin or to end hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How clients reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Unix,
    Tcp,
    /// On a Unix domain socket.
    Tls,
}

impl Transport {
    pub fn word(self) -> &'static str {
        match self {
            Transport::Unix => "Unix",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS 1.3 with AES-256-GCM, Unix",
        }
    }

    /// Where nothing listens yet. `number` tells the servers of one folder apart.
    pub fn address(self, folder: &Path, number: usize) -> Result<Address> {
        Ok(match self {
            Transport::Unix => Address::Unix(folder.join(format!("{number}.sock"))),
            Transport::Tls => {
                let (socket, certificates) = (folder.join(format!("{number}.sock")), folder.join("tls"));
                secure::certificates(&certificates)?;
                Address::Tls { socket, certificates }
            }
            Transport::Tcp => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
                Address::Tcp(listener.local_addr().context("a free port")?.port())
            }
        })
    }
}

/// A server in the foreground; ended when dropped.
pub struct Server {
    child: Child,
    pub address: Address,
}

/// What a process uses, as the kernel sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Of all its threads, also those that have ended.
    pub cpu: Duration,
    /// Most memory it ever had, mapped files included, in KiB.
    pub peak_kib: u64,
    /// Memory it has now, mapped files included, in KiB.
    pub resident_kib: u64,
    pub threads: u64,
}

impl Server {
    /// Starts the contender and waits until it has opened the export once.
    pub fn start(contender: &Contender, export: &Export, address: Address, log: &Path) -> Result<Server> {
        Server::spawn(contender.serve(export, &address), address, log)
    }

    /// Runs a command that serves at `address` and waits until an export can be opened there.
    pub fn spawn(mut command: Command, address: Address, log: &Path) -> Result<Server> {
        if let Address::Unix(path) | Address::Tls { socket: path, .. } = &address {
            let _ = fs::remove_file(path);
        }
        let stderr = File::create(log).context(log.display())?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().context(line(&command))?;
        let mut server = Server { child, address };
        let began = Instant::now();
        loop {
            // Nobody listens before the server is ready: only a refused connection is worth another attempt.
            let why = match Stream::connect(&server.address) {
                Ok(stream) => return Connection::over(stream, &server.address).map(|_| server),
                Err(why) => why,
            };
            let ended = server.child.try_wait().context(line(&command))?;
            if ended.is_some() || began.elapsed() > PATIENCE {
                let said = fs::read_to_string(log).unwrap_or_default();
                let said = said.lines().last().unwrap_or("it said nothing");
                return Err(format!("{} does not serve ({said}; {why})", line(&command)).into());
            }
            sleep(Duration::from_millis(2));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Forgets the peak of the memory so far.
    pub fn reset_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid()), "5");
    }

    pub fn usage(&self) -> Result<Usage> {
        let cpu = clock_getcpuclockid(self.as_pid()).and_then(clock_gettime);
        let cpu = cpu.map_err(|e| format!("CPU time of process {}: {e}", self.pid()))?;
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).context(path)?;
        Ok(Usage {
            cpu: cpu.into(),
            peak_kib: field(&status, "VmHWM:"),
            resident_kib: field(&status, "VmRSS:"),
            threads: field(&status, "Threads:"),
        })
    }

    fn as_pid(&self) -> Pid {
        Pid::from_raw(self.pid() as i32)
    }

    /// Asks it to end and waits until it has.
    pub fn stop(&mut self) {
        let _ = kill(self.as_pid(), Signal::SIGTERM);
        let began = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if began.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stop();
        }
    }
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_status() {
        let status = "VmPeak:\t  100 kB\nVmHWM:\t   42 kB\nThreads:\t3\n";
        assert_eq!((field(status, "VmHWM:"), field(status, "Threads:"), field(status, "VmRSS:")), (42, 3, 0));
    }
}
