// SPDX-License-Identifier: BSD-3-Clause
//! Instructions per request through the connection loop, counted by callgrind: no clock, no noise.
//!
//! Counted are those of the process, not those the kernel spends for it. One run sends N requests and another 2N; what the
//! second spends more is theirs alone, without starting and ending.

use std::fs;
use std::path::Path;
use std::process::Command;

use nbd_proto::Command::Read;

use super::connection::Connection;
use super::contender::Contender;
use super::export::Export;
use super::load::{Job, Until, drive};
use super::results::Instructions;
use super::server::{Server, Transport};
use super::walk::{Order, Walk};
use crate::process::{Context, Result, line};

/// Requests of the shorter run.
const REQUESTS: u64 = 16_000;
/// Sent together, and all answered before the next: so the server always sees the same.
const BATCH: u64 = 16;
const JOB: Job =
    Job { command: Read, order: Order::Random, size: 4096, depth: BATCH as usize, connections: 1 };
/// Filters that do something cheap to every request. Those a program has not are left out.
const FILTERS: [(&str, &[&str]); 6] = [
    ("offset", &["offset=0"]),
    ("truncate", &["truncate=64M"]),
    // Writable, so that it can be filled.
    ("readonly", &["readonly-file=/nonexistent"]),
    ("exportname", &[]),
    ("error", &["error-rate=0"]),
    ("log", &[]),
];

/// Counts for ours and, as a scale, for nbdkit.
pub fn measure(contenders: &[Contender], folder: &Path) -> Result<Vec<Instructions>> {
    let mut all = Vec::new();
    // Valgrind runs one thread at a time: several would only count how they wait for each other.
    let chosen = contenders.iter().filter(|one| one.is_nbdkit() && one.name != "nbdkit");
    for contender in chosen {
        let plain = Export::small(folder);
        all.push(count(contender, &plain, "no filter", folder)?);
        let filters: Vec<_> = FILTERS.into_iter().filter(|(name, _)| contender.has_filter(name)).collect();
        let names: Vec<&str> = filters.iter().map(|(name, _)| *name).collect();
        let mut filtered = plain.clone();
        filtered.parameters = filters.iter().flat_map(|(_, parameters)| parameters.iter().copied()).collect();
        filtered.filters.clone_from(&names);
        all.push(count(contender, &filtered, &format!("filters {}", names.join(", ")), folder)?);
    }
    Ok(all)
}

fn count(contender: &Contender, export: &Export, what: &str, folder: &Path) -> Result<Instructions> {
    let once = total(contender, export, REQUESTS, folder)?;
    let twice = total(contender, export, 2 * REQUESTS, folder)?;
    let per_request = twice.saturating_sub(once) as f64 / REQUESTS as f64;
    let what = format!("{}, {what}", contender.name);
    println!("{what}: {per_request:.0} instructions a request");
    Ok(Instructions { what, per_request })
}

/// All instructions of a server that answers so many requests.
fn total(contender: &Contender, export: &Export, requests: u64, folder: &Path) -> Result<u64> {
    let address = Transport::Unix.address(folder, 0)?;
    let out = folder.join("callgrind.out");
    let serve = contender.serve(export, &address);
    // On one core nobody spins: looking for work in vain would be counted too, more of it the busier the machine is.
    let mut valgrind = Command::new("taskset");
    valgrind.args(["--cpu-list", &first_core()?, "valgrind"]);
    valgrind.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(serve.get_program()).args(serve.get_args());
    let shown = line(&valgrind);
    let mut server = Server::spawn(valgrind, address, &folder.join("callgrind.log"))?;
    let content = export.fill(&server.address)?;
    let mut connection = Connection::open(&server.address)?;
    let mut walk = Walk::new(JOB.order, export.size, JOB.size as u64, (0, 1), 0);
    for _ in 0..requests / BATCH {
        drive(&mut connection, &content, JOB, Until::Requests(BATCH), walk.by_ref())?;
    }
    drop(connection);
    server.stop();
    let said = fs::read_to_string(&out).context(out.display())?;
    parse(&said).ok_or_else(|| format!("{shown}: no totals in {}", out.display()).into())
}

/// The first core this process may run on.
fn first_core() -> Result<String> {
    let path = "/proc/self/status";
    let status = fs::read_to_string(path).context(path)?;
    let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = cores.and_then(|cores| cores.trim().split(['-', ',']).next());
    first.map(str::to_owned).ok_or_else(|| format!("{path}: no Cpus_allowed_list").into())
}

fn parse(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_callgrind() {
        assert_eq!(parse("version: 1\nsummary: 12\n\ntotals: 1234567\n"), Some(1_234_567));
        assert_eq!(parse("version: 1\n"), None);
    }
}
